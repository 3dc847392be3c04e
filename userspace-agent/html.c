// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writing HTML.
 */
#include <math.h>
#include <string.h>

#include "html.h"

#define UNKNOWN		"\xe2\x80\x93"	/* an en dash */

void html_text(FILE *out, const char *text)
{
	for (; *text; text++)
		switch (*text) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		case '\'':
			fputs("&#39;", out);
			break;
		default:
			if ((unsigned char)*text < ' ' || *text == 0x7f)
				fputs("\xef\xbf\xbd", out);
			else
				fputc(*text, out);
		}
}

/*
 * Colours are named by what they mean. Those of codecs grow darker with the effort, those
 * of the heat map with the size of the groups; all can be told apart without colour vision
 * by their lightness, and everything that is drawn is told in a table as well.
 */
static const char style[] =
":root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--soft:#59636e;--line:#d8dee4;--panel:#f6f8fa;"
"--send:#0b62a8;--dirty:#c2410c;--left:#0b62a8;--saved:#1a7f5a;--paid:#8a94a0;--vain:#d97706;"
"--good:#1a7f37;--bad:#b42318;--warn:#9a6700;"
"--zero:#dfe4ea;--c0:#f3c98b;--c1:#8cc5e3;--c2:#5aa5d2;--c3:#2f7fb8;--c4:#7d6bb0;--c5:#123f73;"
"--h0:#dbe9f6;--h1:#c6dbef;--h2:#abcfe6;--h3:#8bbfdf;--h4:#68acd5;--h5:#4a97c9;--h6:#2f7ebc;--h7:#1864aa;"
"--h8:#0a4a90;--h9:#08306b;--b0:#0b62a8;--b1:#5aa5d2;--b2:#c2410c;--b3:#f0a35e;--b4:#1a7f5a;--b5:#79c2a4;"
"--b6:#7d6bb0;--b7:#b9addb;--b8:#59636e}\n"
"@media (prefers-color-scheme:dark){:root{--bg:#0f1318;--fg:#e4e8ec;--soft:#9aa5b1;--line:#2c343d;--panel:#171c23;"
"--send:#5fb0ec;--dirty:#f59153;--left:#5fb0ec;--saved:#52c79a;--paid:#7b8794;--vain:#e9a23b;"
"--good:#4ac26b;--bad:#ff7b72;--warn:#d9a441;"
"--zero:#39424d;--c0:#a8793a;--c1:#2d5d7d;--c2:#3a7fa8;--c3:#55a4d4;--c4:#a294d6;--c5:#b5dcf5;"
"--h0:#1a2b3d;--h1:#1e3a56;--h2:#224a70;--h3:#285c8b;--h4:#3070a6;--h5:#3f86bf;--h6:#579dd1;--h7:#79b5e0;"
"--h8:#a3cfee;--h9:#d6ebfa;--b0:#5fb0ec;--b1:#2f6f9f;--b2:#f59153;--b3:#a8602f;--b4:#52c79a;--b5:#2f7a5d;"
"--b6:#a294d6;--b7:#675a9b;--b8:#7b8794}}\n"
"*{box-sizing:border-box}\n"
"body{margin:0 auto;padding:2rem 1.5rem 3rem;max-width:80rem;background:var(--bg);color:var(--fg);"
"font:15px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}\n"
"h1{font-size:1.5rem;line-height:1.25;margin:0;font-weight:600;overflow-wrap:anywhere}\n"
"h2{font-size:1.1rem;font-weight:600;margin:2.5rem 0 .75rem}\n"
".sub{color:var(--soft);margin:.3rem 0 0;overflow-wrap:anywhere}\n"
".state{font-weight:600}.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}\n"
".notice{border-left:3px solid var(--warn);background:var(--panel);padding:.5rem .9rem;margin:1rem 0 0;"
"overflow-wrap:anywhere}\n"
".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.75rem;margin:1.5rem 0 0;padding:0}\n"
".tiles div{background:var(--panel);border-radius:6px;padding:.7rem .9rem}\n"
".tiles dt{color:var(--soft);font-size:.8rem}.tiles dd{margin:0;font-size:1.3rem;font-weight:600;"
"font-variant-numeric:tabular-nums}.tiles dd small{font-size:.8rem;font-weight:400;color:var(--soft);display:block}\n"
".charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,30rem),1fr));gap:2rem 2.5rem;margin-top:2rem}\n"
"figure{margin:0;min-width:0}figcaption{font-weight:600;margin-bottom:.1rem}\n"
"figure p{margin:0 0 .4rem;color:var(--soft);font-size:.85rem}\n"
"figure .none{padding:2rem 1rem;background:var(--panel);border-radius:6px;text-align:center}\n"
"svg{display:block;width:100%;height:auto;font:13px system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif}\n"
"svg text{fill:var(--soft);font-variant-numeric:tabular-nums}svg .strong{fill:var(--fg)}\n"
".grid{stroke:var(--line);stroke-width:1;shape-rendering:crispEdges}.axis{stroke:var(--soft);stroke-width:1;"
"shape-rendering:crispEdges}\n"
".mark{stroke:var(--soft);stroke-width:1;stroke-dasharray:2 3}\n"
".curve{fill:none;stroke-width:1.8;stroke-linejoin:round}.hit{fill:transparent}.hit:hover{fill:var(--fg);fill-opacity:.08}\n"
".key{display:flex;flex-wrap:wrap;gap:.1rem 1rem;margin:.3rem 0 0;padding:0;list-style:none;font-size:.85rem;color:var(--soft)}\n"
".key i{display:inline-block;width:.8rem;height:.8rem;border-radius:2px;margin-right:.35rem;vertical-align:-.08rem}\n"
"details{margin-top:.4rem;font-size:.85rem}summary{color:var(--soft);cursor:pointer}\n"
".scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums;width:100%}\n"
"th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:right;white-space:nowrap;vertical-align:top}\n"
"th{font-weight:600;color:var(--soft);white-space:normal;vertical-align:bottom}td.l,th.l{text-align:left;white-space:normal;overflow-wrap:anywhere;vertical-align:top}#passes td.l{min-width:13rem}\n"
".two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:0 2.5rem}.two>div{min-width:0}\n"
"footer{margin-top:2.5rem;color:var(--soft);font-size:.8rem}\n"
"@media (max-width:40rem){body{padding:1.2rem 1rem 2rem}.tiles{grid-template-columns:repeat(2,1fr)}}\n"
"@media print{:root{color-scheme:light;--bg:#fff;--fg:#000;--soft:#444;--line:#ccc;--panel:#f4f4f4}"
"body{max-width:none;padding:0;font-size:10pt;print-color-adjust:exact;-webkit-print-color-adjust:exact}"
".charts{grid-template-columns:1fr 1fr;gap:1rem 1.5rem}figure,tr,.tiles{break-inside:avoid}details:not([open]){display:none}"
".scroll{overflow:visible}th,td{padding:.15rem .35rem}}\n";

void html_begin(FILE *out, const char *title)
{
	fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
	      "<title>", out);
	html_text(out, title);
	fprintf(out, "</title>\n<style>\n%s</style>\n</head>\n<body>\n", style);
}

void html_end(FILE *out)
{
	fputs("</body>\n</html>\n", out);
}

/* ------------------------------------------------------------------------
 * Numbers for people
 * ------------------------------------------------------------------------ */

const char *number_plain(char text[NUMBER_SIZE], double n, int digits)
{
	if (isfinite(n))
		snprintf(text, NUMBER_SIZE, "%.*f", digits, n);
	else
		memcpy(text, UNKNOWN, sizeof(UNKNOWN));
	return text;
}

const char *number_count(char text[NUMBER_SIZE], double n)
{
	char digits[NUMBER_SIZE];
	size_t i, length, at = 0;

	if (!isfinite(n))
		return number_plain(text, n, 0);
	length = strlen(number_plain(digits, n, 0));
	/* thin spaces, three bytes each: as many as fit */
	for (i = 0; i < length && at + 5 < NUMBER_SIZE; i++) {
		if (i && digits[i - 1] != '-' && (length - i) % 3 == 0) {
			memcpy(text + at, "\xe2\x80\x89", 3);
			at += 3;
		}
		text[at++] = digits[i];
	}
	text[at] = '\0';
	return text;
}

/* Three digits or so. */
static const char *scaled(char text[NUMBER_SIZE], double n, const char *unit)
{
	if (isfinite(n))
		snprintf(text, NUMBER_SIZE, "%.*f %s", n < 9.995 ? 2 : n < 99.95 ? 1 : 0, n, unit);
	else
		memcpy(text, UNKNOWN, sizeof(UNKNOWN));
	return text;
}

const char *number_bytes(char text[NUMBER_SIZE], double bytes)
{
	return bytes < 1e6 ? scaled(text, bytes / 1e3, "kB") :
	       bytes < 1e9 ? scaled(text, bytes / 1e6, "MB") : scaled(text, bytes / 1e9, "GB");
}

const char *number_ram(char text[NUMBER_SIZE], double bytes)
{
	double mib = bytes / (1 << 20);

	return mib < 1024 ? scaled(text, mib, "MiB") : scaled(text, mib / 1024, "GiB");
}

const char *number_ms(char text[NUMBER_SIZE], double ms)
{
	return ms < 1000 ? scaled(text, ms, "ms") :
	       ms < 600e3 ? scaled(text, ms / 1e3, "s") : scaled(text, ms / 60e3, "min");
}

// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reading the log of a migration, and the page that is made of it.
 */
#include <libxml/HTMLparser.h>
#include <libxml/xpath.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka-all.h"
#include "report.h"

#define BEGIN "{\"event\":\"begin\",\"time\":1790000000,\"at_ms\":0,\"log\":1,\"version\":\"0.1\"," \
	      "\"options\":{\"to\":\"h:1\",\"downtime_ms\":300,\"codecs\":[\"none\",\"lz4\"]}}\n"
#define HOSTILE "</title><script>alert('x')</script>\\\" onload=\\\"&"
#define SENDING "{\"event\":\"sending\",\"at_ms\":5,\"migration\":\"00ff\",\"vm\":\"" HOSTILE "\"," \
		"\"target\":\"h:1\",\"ram_bytes\":8388608}\n"
#define DONE "{\"event\":\"done\",\"at_ms\":900,\"status\":\"moved\",\"passes\":3,\"pages_sent\":2100," \
	     "\"bytes_wire\":123456789,\"ratio\":1.25,\"blackout_ms\":12.5,\"total_ms\":890.25," \
	     "\"held\":false,\"downtime\":{\"stop\":2.5,\"settle\":10.0},\"codecs\":{\"lz4\":1500}," \
	     "\"groups\":[5,0,0,0,0,0,0,0,0,2],\"opened_changed\":30,\"write_faults\":10,\"throttled_us\":0}\n"

/* A look at a pass: since its beginning so many pages and bytes. */
#define PASS(number, at, ms, sent, lz4, bytes, written, pending, ended)			\
	"{\"event\":\"pass\",\"at_ms\":" #at ",\"pass\":" #number ",\"pass_ms\":" #ms	\
	",\"sent_pages\":" #sent ",\"bytes_wire\":" #bytes ",\"written_pages\":" #written \
	",\"pending_pages\":" #pending ",\"codecs\":{\"lz4\":" #lz4 "},\"write_faults\":4," \
	"\"opened_changed\":9,\"opened_unchanged\":1,\"ended\":" #ended "}\n"

static struct runlog *read_text(const char *text, size_t length, struct failure *why)
{
	FILE *in = fmemopen((void *)text, length, "r");
	struct runlog *run;

	assert_non_null(in);
	run = runlog_read(in, why);
	fclose(in);
	return run;
}

static struct runlog *must_read(const char *text)
{
	struct failure why = { 0 };
	struct runlog *run = read_text(text, strlen(text), &why);

	if (!run)
		print_error("%s\n", why.text);
	assert_non_null(run);
	return run;
}

static void must_refuse(const char *text, const char *words)
{
	struct failure why = { 0 };

	assert_null(read_text(text, strlen(text), &why));
	if (!strstr(why.text, words))
		print_error("'%s' instead of '%s'\n", why.text, words);
	assert_non_null(strstr(why.text, words));
}

static const char whole[] = BEGIN SENDING
	"{\"event\":\"stage\",\"at_ms\":10,\"name\":\"passes\"}\n"
	PASS(1, 310, 200, 1000, 800, 2000000, 10, 1000, false)
	PASS(1, 510, 400, 2000, 1400, 5000000, 50, 64, true)
	"{\"event\":\"groups\",\"at_ms\":510,\"pass\":1,\"orders\":\".059\"}\n"
	"{\"event\":\"decision\",\"at_ms\":510,\"pass\":1,\"decision\":\"again\",\"reason\":\"<b>\"}\n"
	PASS(2, 700, 100, 64, 64, 10000, 3, 3, true)
	"{\"event\":\"stage\",\"at_ms\":800,\"name\":\"stop\"}\n"
	"{\"event\":\"something-new\",\"at_ms\":805}\n"
	"{\"event\":\"stage\",\"at_ms\":850,\"name\":\"retire\"}\n"
	DONE;

static void test_samples(void **state)
{
	struct runlog *run = must_read(whole);

	(void)state;
	assert_int_equal(run->samples, 3);
	assert_int_equal(run->passes, 2);
	assert_true(fabs(run->sample[0].from - 0.11) < 1e-9);
	assert_true(fabs(run->sample[0].to - 0.31) < 1e-9);
	assert_true(run->sample[0].bytes == 2000000 && run->sample[0].zero == 200);
	/* the second look tells of the whole pass, its sample of what came since the first */
	assert_true(run->sample[1].bytes == 3000000 && run->sample[1].written == 40);
	assert_true(run->sample[1].codec[FERRY_CODEC_LZ4] == 600 && run->sample[1].zero == 400);
	assert_true(run->sample[2].bytes == 10000 && run->sample[2].pass == 2);
	assert_string_equal(run->pass[0].decision, "again");
	assert_string_equal(run->heat[0].orders, ".059");
	assert_true(run->moved && !run->cut && !run->left_out);
	assert_true(run_groups(run->result, 9) == 2 && isnan(run_groups(run->result, 10)));
	runlog_free(run);
}

static void test_refusals(void **state)
{
	(void)state;
	must_refuse("", "there is nothing in it");
	must_refuse("\n\n", "there is nothing in it");
	must_refuse("[1]\n", "line 1: it is no event");
	must_refuse("hello\n", "line 1: it is not JSON");
	must_refuse(SENDING, "line 1: it does not begin as the log");
	must_refuse("{\"event\":\"begin\",\"log\":2}\n", "version 2, and this kvmferry reads version 1");
	must_refuse(BEGIN "{\"event\":3}\n", "line 2: it is no event");
	must_refuse(BEGIN "{\"event\":\"pa\n" DONE, "line 2: it is not JSON");
	must_refuse("{\"event\":\"beg", "line 1: it is not JSON");
}

static void test_long_line(void **state)
{
	size_t length = 2 * RUNLOG_LINE;
	char *text = malloc(length + 1);

	(void)state;
	memset(text, 'x', length);
	memcpy(text, BEGIN, strlen(BEGIN));
	text[length] = '\0';
	must_refuse(text, "line 2: longer than 65536 bytes");
	free(text);
}

/* An agent that was killed in the middle of a line. */
static void test_cut(void **state)
{
	struct runlog *run = must_read(BEGIN SENDING PASS(1, 310, 200, 1, 1, 1, 1, 1, false) "{\"event\":\"do");

	(void)state;
	assert_true(run->cut && !run->result && run->samples == 1);
	runlog_free(run);
}

/* Much longer than what is kept: thinned out, and nothing is lost of what was sent. */
static void test_thinned(void **state)
{
	const unsigned int looks = 10 * RUNLOG_SAMPLES + 7;
	double bytes = 0;
	size_t size;
	char *text;
	FILE *out = open_memstream(&text, &size);
	struct runlog *run;

	(void)state;
	fputs(BEGIN, out);
	for (unsigned int i = 1; i <= looks; i++)
		fprintf(out, "{\"event\":\"pass\",\"at_ms\":%u,\"pass_ms\":%u,\"pass\":1,\"bytes_wire\":%u,\"ended\":false}\n",
			i * 100, i * 100, i * 1000);
	fclose(out);
	run = must_read(text);
	assert_true(run->samples <= RUNLOG_SAMPLES && run->samples >= RUNLOG_SAMPLES / 2);
	for (unsigned int i = 0; i < run->samples; i++) {
		bytes += run->sample[i].bytes;
		assert_true(run->sample[i].to > run->sample[i].from);
		assert_true(!i || run->sample[i].from == run->sample[i - 1].to);
	}
	assert_true(bytes == looks * 1000.0);
	runlog_free(run);
	free(text);
}

/* ------------------------------------------------------------------------
 * The page
 * ------------------------------------------------------------------------ */

static char *page_of(const struct runlog *run)
{
	size_t size;
	char *text;
	FILE *out = open_memstream(&text, &size);

	report_write(out, run);
	fclose(out);
	return text;
}

/* A parser of HTML sees what a browser would. How many nodes match? */
static int count_nodes(xmlXPathContextPtr at, const char *path)
{
	xmlXPathObjectPtr found = xmlXPathEvalExpression((const xmlChar *)path, at);
	int n = found && found->nodesetval ? found->nodesetval->nodeNr : 0;

	xmlXPathFreeObject(found);
	return n;
}

static void value_is(xmlXPathContextPtr at, const char *key, const char *wanted)
{
	char path[200];
	xmlXPathObjectPtr found;
	xmlChar *value;

	snprintf(path, sizeof(path), "string(//table[@id='result']//tr[@data-key='%s']/@data-value)", key);
	found = xmlXPathEvalExpression((const xmlChar *)path, at);
	value = xmlXPathCastToString(found);
	assert_string_equal((const char *)value, wanted);
	xmlFree(value);
	xmlXPathFreeObject(found);
}

static void test_page(void **state)
{
	struct runlog *run = must_read(whole);
	char *page = page_of(run);
	htmlDocPtr document = htmlReadMemory(page, (int)strlen(page), NULL, "UTF-8",
					     HTML_PARSE_NOERROR | HTML_PARSE_NOWARNING | HTML_PARSE_NONET);
	xmlXPathContextPtr at = xmlXPathNewContext(document);

	(void)state;
	/* What a hostile name says is text, and nothing is fetched from anywhere. */
	assert_int_equal(count_nodes(at, "//script|//@onload|//img|//link|//iframe|//@href|//@src"), 0);
	assert_null(strstr(page, "url("));
	assert_null(strstr(page, "http:"));
	assert_null(strstr(page, "https:"));
	assert_int_equal(count_nodes(at, "//h1[contains(., \"<script>alert('x')</script>\")]"), 1);
	assert_int_equal(count_nodes(at, "//figure"), 8);
	assert_int_equal(count_nodes(at, "//figure//svg"), 8);
	assert_int_equal(count_nodes(at, "//svg[not(@aria-label)]"), 0);
	assert_int_equal(count_nodes(at, "//table[@id='passes']/tbody/tr"), 2);
	value_is(at, "pages_sent", "2100");
	value_is(at, "ratio", "1.25");
	value_is(at, "held", "false");
	value_is(at, "downtime.settle", "10.0");
	value_is(at, "codecs.lz4", "1500");
	value_is(at, "groups.9", "2");
	xmlXPathFreeContext(at);
	xmlFreeDoc(document);
	runlog_free(run);
	free(page);
}

/* What a log does not tell is not drawn, and the page says so. */
static void test_poor_log(void **state)
{
	struct runlog *run = must_read(BEGIN);
	char *page = page_of(run);

	(void)state;
	assert_non_null(strstr(page, "The log ends before the migration does"));
	assert_null(strstr(page, "<svg"));
	assert_null(strstr(page, "nan"));
	runlog_free(run);
	free(page);

	run = must_read(BEGIN SENDING "{\"event\":\"failed\",\"status\":\"runs-on\",\"reason\":\"<i>why\"}\n");
	page = page_of(run);
	assert_non_null(strstr(page, "Why it failed: &lt;i&gt;why"));
	assert_non_null(strstr(page, "The VM was never stopped."));
	runlog_free(run);
	free(page);
}

/* Numbers that no migration has. */
static void test_absurd(void **state)
{
	struct runlog *run = must_read(BEGIN
		PASS(1, 1e300, -1e300, -5, 1e17, 1e300, -1, 1e17, true)
		PASS(1e9, -7, 1e17, 1e17, -1e17, 3, 1e17, -4, true)
		"{\"event\":\"groups\",\"orders\":\"x\"}\n"
		"{\"event\":\"done\",\"status\":3,\"downtime\":{\"a\":-5,\"b\":1e17},\"groups\":[1e300]}\n");
	char *page = page_of(run);

	(void)state;
	assert_null(strstr(page, "\"nan\""));
	assert_null(strstr(page, "\"inf"));
	assert_null(strstr(page, "\"-inf"));
	runlog_free(run);
	free(page);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_thinned),
		cmocka_unit_test(test_page),
		cmocka_unit_test(test_poor_log),
		cmocka_unit_test(test_absurd),
	};

	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}

/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Authorities, certificates and shared keys for tests, as files in a folder. */
#ifndef UNIT_PKI_H
#define UNIT_PKI_H

/* Makes DIR/NAME.pem and DIR/NAME.key, an authority that has signed itself. */
void pki_authority(const char *dir, const char *name);

/**
 * pki_certificate - make DIR/NAME.pem and DIR/NAME.key
 * @by:		name of the authority
 * @host:	whom it is for, as in a certificate: "DNS:name" or "IP:address"
 * @days:	how long it is valid from yesterday on
 */
void pki_certificate(const char *dir, const char *name, const char *by,
		     const char *host, int days);

/* Makes DIR/NAME with this text and these permissions. */
void pki_file(const char *dir, const char *name, const char *text, unsigned int mode);

#endif /* UNIT_PKI_H */

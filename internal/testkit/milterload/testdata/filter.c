/*
 * filter: a milter that adds one header field to every message and does nothing else, on libmilter. It is
 * what domain-secured is measured against.
 *
 *     filter -a SOCKET
 *     filter -n PROTOCOL [-m STAGE=MACROS]... SOCKET
 *
 * With -a it has every callback and libmilter's defaults: each event is sent and answered. With -n it
 * negotiates what is given: PROTOCOL is the number with the NO* and NR_* bits (libmilter/mfdef.h), STAGE the
 * number of a stage whose macros it asks for; an MTA that does not offer all that is sent away. SOCKET is as
 * in smfi_setconn: unix:/path or inet:port@host. SIGTERM ends it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libmilter/mfapi.h>
#include <libmilter/mfdef.h>

static unsigned long protocol;
static char *macros[SMFIM_LAST + 1];

/* silent is what a callback returns for an event whose reply was, or was not, negotiated away. */
static sfsistat silent(unsigned long no_reply)
{
	return protocol & no_reply ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

static sfsistat on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long offer, unsigned long f2,
	unsigned long f3, unsigned long *want_actions, unsigned long *want, unsigned long *want2, unsigned long *want3)
{
	(void)f2, (void)f3;
	*want_actions = SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_SETSYMLIST;
	*want = protocol;
	*want2 = *want3 = 0;
	if ((*want_actions & ~actions) != 0 || (*want & ~offer) != 0)
		return SMFIS_REJECT;
	for (int stage = 0; stage <= SMFIM_LAST; stage++)
		if (macros[stage] != NULL && smfi_setsymlist(ctx, stage, macros[stage]) != MI_SUCCESS)
			return SMFIS_REJECT;
	return SMFIS_CONTINUE;
}

static sfsistat on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *address)
{
	(void)ctx, (void)host, (void)address;
	return silent(SMFIP_NR_CONN);
}

static sfsistat on_helo(SMFICTX *ctx, char *name)
{
	(void)ctx, (void)name;
	return silent(SMFIP_NR_HELO);
}

static sfsistat on_mail(SMFICTX *ctx, char **arguments)
{
	(void)ctx, (void)arguments;
	return silent(SMFIP_NR_MAIL);
}

static sfsistat on_rcpt(SMFICTX *ctx, char **arguments)
{
	(void)ctx, (void)arguments;
	return silent(SMFIP_NR_RCPT);
}

static sfsistat on_data(SMFICTX *ctx)
{
	(void)ctx;
	return silent(SMFIP_NR_DATA);
}

static sfsistat on_unknown(SMFICTX *ctx, const char *line)
{
	(void)ctx, (void)line;
	return silent(SMFIP_NR_UNKN);
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
	(void)ctx, (void)name, (void)value;
	return silent(SMFIP_NR_HDR);
}

static sfsistat on_eoh(SMFICTX *ctx)
{
	(void)ctx;
	return silent(SMFIP_NR_EOH);
}

static sfsistat on_body(SMFICTX *ctx, unsigned char *text, size_t size)
{
	(void)ctx, (void)text, (void)size;
	return silent(SMFIP_NR_BODY);
}

static sfsistat on_eom(SMFICTX *ctx)
{
	/* About as long as what domain-secured stamps. */
	static char value[] = "mx1.contoso.com; domain=woodgrovebank.com; auth=chain; name=mail1.woodgrovebank.com;\n"
		"  fingerprint=sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef;\n"
		"  revocation=unchecked; tls=TLSv1.3; client=192.0.2.7";

	return smfi_insheader(ctx, 0, "X-Filter", value) == MI_SUCCESS ? SMFIS_CONTINUE : SMFIS_TEMPFAIL;
}

static sfsistat on_abort(SMFICTX *ctx)
{
	(void)ctx;
	return SMFIS_CONTINUE;
}

static sfsistat on_close(SMFICTX *ctx)
{
	(void)ctx;
	return SMFIS_CONTINUE;
}

static void usage(void)
{
	fputs("usage: filter -a SOCKET | filter -n PROTOCOL [-m STAGE=MACROS]... SOCKET\n", stderr);
	exit(64);
}

int main(int argc, char **argv)
{
	struct smfiDesc filter = {
		.xxfi_name = "filter",
		.xxfi_version = SMFI_VERSION,
		.xxfi_flags = SMFIF_ADDHDRS,
		.xxfi_connect = on_connect,
		.xxfi_helo = on_helo,
		.xxfi_envfrom = on_mail,
		.xxfi_data = on_data,
		.xxfi_header = on_header,
		.xxfi_eom = on_eom,
		.xxfi_abort = on_abort,
		.xxfi_close = on_close,
	};
	int option, chosen = 0;

	while ((option = getopt(argc, argv, "an:m:")) != -1) {
		char *end;
		unsigned long stage;

		switch (option) {
		case 'a':
			filter.xxfi_envrcpt = on_rcpt;
			filter.xxfi_eoh = on_eoh;
			filter.xxfi_body = on_body;
			filter.xxfi_unknown = on_unknown;
			chosen++;
			break;
		case 'n':
			protocol = strtoul(optarg, &end, 0);
			if (*end != '\0')
				usage();
			filter.xxfi_flags = SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_SETSYMLIST;
			filter.xxfi_negotiate = on_negotiate;
			chosen++;
			break;
		case 'm':
			stage = strtoul(optarg, &end, 10);
			if (stage > SMFIM_LAST || *end != '=')
				usage();
			macros[stage] = end + 1;
			break;
		default:
			usage();
		}
	}
	if (chosen != 1 || optind != argc - 1)
		usage();

	umask(0); /* an MTA's own user must get at a unix socket */
	if (smfi_setconn(argv[optind]) != MI_SUCCESS || smfi_register(filter) != MI_SUCCESS) {
		fprintf(stderr, "filter: cannot use %s\n", argv[optind]);
		return 1;
	}
	return smfi_main() == MI_SUCCESS ? 0 : 1;
}

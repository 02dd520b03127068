#!/bin/sh
# setup.sh lab|test: installs what is missing to run the lab, or the tests, on Debian and its kin.
#
# Nothing missing: prints nothing. Otherwise it says first what it will install and why. Postfix is
# installed with debconf's "No configuration" and is not started: the lab and the tests start private
# instances of their own, and the system's mail stays as it is. A package that would have to go
# (another MTA, since all of them claim mail-transport-agent) ends this with status 3.
#
# Exit status: 0 ready (for "lab" also: it will have to do without Postfix), 1 something is missing
# and could not be installed, 3 installing would remove packages, 64 usage.
set -eu

purpose=${1:-}
if [ $# -ne 1 ] || { [ "$purpose" != lab ] && [ "$purpose" != test ]; }; then
	echo "usage: $0 lab|test" >&2
	exit 64
fi

# An ordinary user's PATH lacks the directory Postfix is in.
PATH=$PATH:/usr/sbin:/sbin
export PATH

packages=
reasons=

# need PACKAGE WHY: notes a missing package.
need() {
	packages="$packages $1"
	reasons="$reasons
  $1: $2"
}

have() {
	command -v "$1" >/dev/null 2>&1
}

have postfix || need postfix "the mail server that domain-secured is tried with (private instances; the system's is neither configured nor started)"
if [ "$purpose" = test ]; then
	have swaks || need swaks "an independent SMTP client to test with"
	perl -MNet::SSLeay -e 1 2>/dev/null || need libnet-ssleay-perl "swaks needs it to speak TLS"
	have miltertest || need miltertest "an independent mail server's side of the milter protocol to test with"
	[ -e /usr/include/libmilter/mfapi.h ] || need libmilter-dev "the C library that milters are usually written with, to measure against"
	have openssl || need openssl "an independent judge of the certificates the tests make"
	have slapd || need slapd "a directory to fetch CRLs from (private instances; the system's is neither configured nor started)"
	have gcc || need gcc "go test -race needs a C compiler"
	# gcc alone has neither headers nor crt1.o: only linking something shows whether they are there.
	if ! have gcc || ! echo 'int main(void) { return 0; }' | gcc -x c -o /dev/null - 2>/dev/null; then
		need libc6-dev "go test -race needs the C library's headers"
	fi
fi
[ -n "$packages" ] || exit 0

# give_up WHY: the lab has a fake MTA to fall back on, the tests are not complete without the packages.
give_up() {
	if [ "$purpose" = lab ]; then
		echo "Postfix is missing and cannot be installed ($1): the lab will use its fake MTA."
		exit 0
	fi
	echo "missing, and cannot be installed here ($1). As root: apt-get install$packages" >&2
	exit 1
}

[ "$(id -u)" -eq 0 ] || give_up "not root"
have apt-get || give_up "no apt-get"

echo "Installing what is missing, with apt-get:$reasons"

log=$(mktemp)
guard=/usr/sbin/policy-rc.d
guarding=no

# shellcheck disable=SC2329 # called by the traps
clean() {
	rm -f "$log"
	if [ "$guarding" = yes ]; then rm -f "$guard"; fi
}
trap clean EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# quietly COMMAND...: its output is shown only if it fails.
quietly() {
	if "$@" >"$log" 2>&1; then return 0; fi
	cat "$log" >&2
	return 1
}

DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND

quietly apt-get update || give_up "apt-get update failed"

# shellcheck disable=SC2086 # a list of words
if apt-get install -s -y --no-install-recommends $packages >"$log" 2>&1; then
	removed=$(sed -n 's/^Remv \([^ ]*\).*/\1/p' "$log" | tr '\n' ' ')
	if [ -n "$removed" ]; then
		echo "not installing: apt-get would remove ${removed% } to make room." >&2
		echo "Use a machine or container without another mail server, or run the lab with its fake MTA: go run ./internal/testkit/lab -mta fake" >&2
		exit 3
	fi
fi

# A fresh Postfix would be started by its package; this answer to invoke-rc.d forbids it. One that is
# there already is somebody's own decision and stays (in containers it usually says the same).
if [ ! -e "$guard" ]; then
	guarding=yes
	printf '#!/bin/sh\nexit 101\n' >"$guard"
	chmod 755 "$guard"
fi

if have debconf-set-selections; then
	case $packages in *postfix*)
		echo "postfix postfix/main_mailer_type select No configuration" | debconf-set-selections
		;;
	esac
	case $packages in *slapd*)
		echo "slapd slapd/no_configuration boolean true" | debconf-set-selections
		;;
	esac
fi

# --no-remove stands here too: what the simulation did not foresee must fail, not happen.
# shellcheck disable=SC2086 # a list of words
quietly apt-get install -y --no-install-recommends --no-remove $packages || give_up "apt-get install failed"

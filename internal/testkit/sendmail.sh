#!/bin/sh
# sendmail.sh: unpacks Debian's Sendmail into a folder of this user's cache, for the lab and the tests, and says so
# first. Nothing is installed: the mail server of the system stays what it is, and root is not needed (but for
# apt-get update, where apt knows no packages yet).
#
# Exit status: 0 it is there, 1 it is not and cannot be got.
set -eu

cache=${XDG_CACHE_HOME:-$HOME/.cache}/domain-secured
root=$cache/sendmail
program=usr/libexec/sendmail/sendmail
[ -x "$root/$program" ] && exit 0

give_up() {
	echo "Sendmail is missing in $root, and cannot be unpacked there: $1" >&2
	exit 1
}

command -v apt-get >/dev/null 2>&1 || give_up "no apt-get"
command -v dpkg >/dev/null 2>&1 || give_up "no dpkg"

echo "Unpacking Debian's Sendmail into $root (it is neither installed nor started)"

mkdir -p "$cache"
work=$(mktemp -d "$cache/sendmail.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# libraries: those that installing it would bring along, by a simulation, which root is not needed for.
simulate() {
	apt-get install -s --no-install-recommends sendmail-bin sendmail-cf m4 >"$work/simulation" 2>"$work/errors"
}
if ! simulate; then
	[ "$(id -u)" -ne 0 ] || apt-get update >"$work/errors" 2>&1 || give_up "apt-get update failed: $(cat "$work/errors")"
	simulate || give_up "$(cat "$work/errors")"
fi
libraries=$(sed -n 's/^Inst \(lib[^ ]*\) .*/\1/p' "$work/simulation")

mkdir "$work/packages" "$work/root"
cd "$work/packages"
download() {
	# shellcheck disable=SC2086 # a list of words
	apt-get download sendmail-bin sendmail-cf m4 $libraries >"$work/errors" 2>&1
}
if ! download; then
	# The lists are older than what the mirror still has.
	[ "$(id -u)" -ne 0 ] || apt-get update >"$work/errors" 2>&1 || give_up "apt-get update failed: $(cat "$work/errors")"
	download || give_up "$(cat "$work/errors")"
fi
for package in *.deb; do
	dpkg -x "$package" "$work/root"
done

# With the rights of a group of its own the loader would not heed LD_LIBRARY_PATH (ld.so(8), secure-execution mode).
chmod ug-s "$work/root/usr/libexec/sendmail/"*
chmod 755 "$work/root"
libraries=$(find "$work/root/usr/lib" -maxdepth 1 -name '*-linux-gnu*' | tr '\n' ':')
if LD_LIBRARY_PATH=$libraries ldd "$work/root/$program" | grep 'not found' >"$work/errors"; then
	give_up "it lacks libraries: $(cat "$work/errors")"
fi
# Another run may have been quicker.
mv -T "$work/root" "$root" 2>/dev/null || [ -x "$root/$program" ]

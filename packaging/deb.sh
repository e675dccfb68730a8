#!/bin/sh
# Builds the Debian package from a program that is built: deb.sh PROGRAM VERSION OUTPUT.deb
# The same input and SOURCE_DATE_EPOCH make the same package, byte for byte.
set -eu

program=$1 version=$2 output=$3
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
: "${GO:=go}"
: "${MAINTAINER:=rosterd maintainers <rosterd@rosterd.invalid>}"
: "${SOURCE_DATE_EPOCH:=$(git -C "$root" log -1 --format=%ct)}"
export SOURCE_DATE_EPOCH
umask 022

# Debian's versions begin with a digit. What is no release sorts before the first one, by date.
case $version in
v[0-9]* | [0-9]*.*) version=$(echo "${version#v}" | tr - +) ;;
*) version="0~$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y%m%d%H%M%S).$(echo "$version" | tr - +)" ;;
esac
case $("$GO" env GOARCH) in
386) arch=i386 ;;
arm) arch=armhf ;;
loong64) arch=loong64 ;;
mips64le) arch=mips64el ;;
ppc64le) arch=ppc64el ;;
*) arch=$("$GO" env GOARCH) ;;
esac

tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree"
doc=$tree/usr/share/doc/rosterd

# put MODE FILE PLACE
put() { install -D -m "$1" "$2" "$tree/$3"; }

put 755 "$program" usr/bin/rosterd
put 644 "$here/rosterd.service" usr/lib/systemd/system/rosterd.service
put 644 "$here/prosody.cfg.lua" etc/rosterd/prosody.cfg.lua
mkdir -p "$tree/etc/rosterd/certs"
put 644 "$here/rosterd.8" usr/share/man/man8/rosterd.8
put 644 "$here/prosody.conf" usr/share/doc/rosterd/examples/prosody.conf
put 644 "$here/debian/copyright" usr/share/doc/rosterd/copyright
put 644 "$here/debian/lintian-overrides" usr/share/lintian/overrides/rosterd
(cd "$root/examples" && find plugins -name node_modules -prune -o -type f \( -name 'mod_*.lua' -o -name '*.md' -o -name '*.json' -o -path '*/fixtures/*' \
	-o -path 'plugins/*/*.c' -o -path 'plugins/*/*.rs' -o -path 'plugins/*/*.ts' -o -path 'plugins/*/main.go' \) -print) | while read -r example; do
	put 644 "$root/examples/$example" "usr/share/doc/rosterd/examples/$example"
done
(cd "$root/plugins/sdk" && find . -name node_modules -prune -o -type f \( -name 'rosterd.*' ! -name '*_test.go' \) -print) | while read -r file; do
	put 644 "$root/plugins/sdk/$file" "usr/share/doc/rosterd/sdk/$file"
done
for page in OPERATING MIGRATING PLUGINS QUIRKS; do
	put 644 "$root/docs/$page.md" "usr/share/doc/rosterd/$page.md"
	gzip -9n "$doc/$page.md"
done
(cd "$root" && "$here/licences.sh" "$program") >"$doc/THIRD-PARTY"
printf 'rosterd (%s) unstable; urgency=medium\n\n  * See the history of the repository.\n\n -- %s  %s\n' \
	"$version" "$MAINTAINER" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" >"$doc/changelog"
gzip -9n "$doc/THIRD-PARTY"
gzip -9n "$doc/changelog"
gzip -9n "$tree/usr/share/man/man8/rosterd.8"

mkdir "$tree/DEBIAN"
for script in postinst prerm postrm; do put 755 "$here/debian/$script" "DEBIAN/$script"; done
put 644 "$here/debian/conffiles" DEBIAN/conffiles
size=$(du -k --apparent-size -s "$tree" --exclude=DEBIAN | cut -f1)
sed -e "s/@VERSION@/$version/; s/@ARCH@/$arch/; s/@SIZE@/$size/; s/@MAINTAINER@/$MAINTAINER/" "$here/debian/control" >"$tree/DEBIAN/control"
(cd "$tree" && find . -type f ! -path './DEBIAN/*' -printf '%P\n' | LC_ALL=C sort | xargs -d '\n' md5sum) >"$tree/DEBIAN/md5sums"
find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$tree" "$output"

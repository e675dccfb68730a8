#!/bin/sh
# Prints the licences of the modules that a program is made of, which they all want to go along with it: licences.sh PROGRAM
set -eu

: "${GO:=go}"
"$GO" version -m "$1" | awk '$1 == "dep" { print $2 "@" $3 }' | LC_ALL=C sort | while read -r module; do
	dir=$("$GO" list -m -f '{{.Dir}}' "${module%@*}")
	found=
	for file in "$dir"/LICEN[CS]E* "$dir"/COPYING* "$dir"/NOTICE* "$dir"/PATENTS*; do
		[ -f "$file" ] || continue
		found=1
		printf '======== %s: %s\n\n' "$module" "$(basename "$file")"
		cat "$file"
		printf '\n'
	done
	if [ -z "$found" ]; then
		echo "licences.sh: $module has none" >&2
		exit 1
	fi
done
printf '======== Go: LICENSE\n\n'
cat "$("$GO" env GOROOT)/LICENSE"

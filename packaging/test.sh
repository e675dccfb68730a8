#!/bin/sh
# Installs a Debian package, runs it under systemd in both ways that docs/OPERATING.md describes, and purges it. All that
# happens in a copy of this machine that is thrown away: its own processes, network and files in memory. As root:
#
#   packaging/test.sh PACKAGE.deb
set -eu

here=$(cd "$(dirname "$0")" && pwd)
fail() { echo "FAILED: $*" >&2; exit 1; }

case ${1-} in
--machine) ;; # the new machine, before it boots: below
--inside) ;;  # on it
*)
	[ "$(id -u)" = 0 ] || fail "run it as root"
	for tool in unshare nsenter ip setpriv lintian systemd-analyze dbus-daemon; do
		command -v $tool >/dev/null || fail "there is no $tool: install util-linux, iproute2, lintian, systemd and dbus"
	done
	echo "== lintian"
	lintian --allow-root --fail-on error,warning "$1"

	dir=$(mktemp -d)
	unshare --mount --pid --fork --kill-child --net --ipc --uts --cgroup "$here/test.sh" --machine "$dir" "$1" >"$dir.log" 2>&1 &
	outer=$!
	trap 'pkill -KILL -P $outer 2>/dev/null || true; wait $outer 2>/dev/null || true; rm -rf "$dir" "$dir.log"' EXIT
	machine= tries=0
	until [ -n "$machine" ] && inside="nsenter -t $machine --mount --pid --net --ipc --uts --cgroup --root --wd" &&
		$inside systemctl is-system-running --wait 2>/dev/null | grep -Eq 'running|degraded'; do
		tries=$((tries + 1))
		[ $tries -lt 60 ] || { cat "$dir.log"; fail "systemd does not boot"; }
		sleep 1
		machine=$(pgrep -P $outer || true)
	done
	$inside /test.sh --inside
	echo "The package works."
	exit
	;;
esac

if [ "$1" = --machine ]; then
	dir=$2
	mount -t tmpfs tmpfs "$dir"
	mkdir "$dir/upper" "$dir/work" "$dir/root"
	mount -t overlay overlay -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
	cp "$3" "$dir/root/rosterd.deb"
	cp "$here/test.sh" "$dir/root/test.sh"
	cp "$here/../plugins/wasm/testdata/flat.wasm" "$dir/root/flat.wasm"
	cd "$dir/root"
	mount -t proc proc proc
	mount -t sysfs sysfs sys
	mount -t cgroup2 cgroup2 sys/fs/cgroup
	mount --rbind /dev dev
	for d in run tmp; do mount -t tmpfs tmpfs $d; done
	rm -rf etc/systemd/system/*.wants etc/prosody var/lib/prosody var/log/prosody etc/rosterd var/lib/rosterd
	rm -f usr/sbin/policy-rc.d
	exec chroot . /lib/systemd/systemd --system --unit=multi-user.target
fi

exec 2>&1
step() { echo "== $*"; }
# mode PATH: as "OWNER:GROUP MODE"
mode() { stat -c '%U:%G %a' "$1"; }
is() { [ "$2" = "$3" ] || fail "$1 is $2, want $3"; }
# mainpid: of the running server
mainpid() { systemctl show -p MainPID --value rosterd; }
serving() {
	systemctl is-active --quiet rosterd || { journalctl -u rosterd --no-pager | tail -30; fail "rosterd does not run"; }
	is "what systemd was told" "$(systemctl show -p StatusText --value rosterd)" serving
	rosterd health "$@" || fail "rosterd is not well"
}
ip link set lo up

step "fresh: install"
dpkg -i /rosterd.deb
is "the user's home" "$(getent passwd rosterd | cut -d: -f6)" /var/lib/rosterd
is /etc/rosterd "$(mode /etc/rosterd)" "root:rosterd 750"
is the.certificates "$(mode /etc/rosterd/certs)" "root:rosterd 750"
is the.configuration "$(mode /etc/rosterd/prosody.cfg.lua)" "root:rosterd 640"
is the.data "$(mode /var/lib/rosterd)" "rosterd:rosterd 750"
is "the server" "$(systemctl is-active rosterd || true)" inactive
systemd-analyze verify /lib/systemd/system/rosterd.service
exposure=$(systemd-analyze security --no-pager rosterd.service | sed -n 's/.*Overall exposure level.*: \([0-9.]*\) .*/\1/p')
echo "exposure: $exposure"
[ "${exposure%.*}" -lt 2 ] || fail "exposure of $exposure"
man --warnings -l /usr/share/man/man8/rosterd.8.gz >/dev/null

step "fresh: the configuration as it is installed"
status=0
rosterd check --strict --config /etc/rosterd/prosody.cfg.lua || status=$?
[ $status -le 2 ] || fail "check exits with $status"
rosterd check --config /etc/rosterd/prosody.cfg.lua | grep REFUSED && fail "it is refused"
systemctl start rosterd
serving
grep -q '^CapEff:[[:space:]]*0*$' "/proc/$(mainpid)/status" || fail "it has capabilities"
grep -q '^Seccomp:[[:space:]]*2$' "/proc/$(mainpid)/status" || fail "its system calls are not filtered"
is "its user" "$(ps -o user= -p "$(mainpid)")" rosterd
grep -q denied <<-LOG && fail "something was denied"
	$(journalctl -u rosterd --no-pager)
LOG

step "fresh: accounts, backup, reload, crash"
echo secret | rosterd user add john@localhost
is the.database "$(mode /var/lib/rosterd/rosterd.sqlite)" "rosterd:rosterd 600"
rosterd backup /var/backups/rosterd.sqlite
is the.backup "$(mode /var/backups/rosterd.sqlite)" "root:root 600"
systemctl reload rosterd
serving
pid=$(mainpid)
kill -KILL "$pid"
for _ in 1 2 3 4 5 6 7 8 9 10; do
	sleep 1
	[ "$(mainpid)" = "$pid" ] || [ "$(mainpid)" = 0 ] || break
done
systemctl is-active --quiet rosterd || sleep 2
serving
is "the accounts" "$(rosterd user list | awk '{ print $1 }')" john@localhost

step "fresh: a script, in a process of its own"
install -d -o root -g rosterd -m 750 /etc/rosterd/modules
cat >/etc/rosterd/modules/mod_team.lua <<'LUA'
module:provides("roster", { fetch = function(user) return { ["boss@localhost"] = { name = "Boss of " .. user } } end })
LUA
cp -p /etc/rosterd/prosody.cfg.lua /run/before.cfg.lua
sed -i 's/"http_roster_admin"/"team"/; 1i plugin_paths = { "/etc/rosterd/modules" }' /etc/rosterd/prosody.cfg.lua
systemctl restart rosterd
serving
rosterd roster refresh john@localhost
worker=$(pgrep -P "$(mainpid)" -f plugin-worker) || fail "there is no process for the script"
is "its user" "$(ps -o user= -p "$worker")" rosterd
is "its environment" "$(tr -d '\0' <"/proc/$worker/environ")" ""
grep -q '^Max data size  *[0-9]' "/proc/$worker/limits" || fail "its memory is not limited"
grep -q '^Seccomp:[[:space:]]*2$' "/proc/$worker/status" || fail "its system calls are not filtered"

step "fresh: a module in WebAssembly"
install -o root -g rosterd -m 640 /flat.wasm /etc/rosterd/modules/flat.wasm
sed -i 's/"team"/"flat"/' /etc/rosterd/prosody.cfg.lua
systemctl restart rosterd
serving
pgrep -P "$(mainpid)" -f plugin-worker >/dev/null || fail "there is no process for the module"
journalctl -u rosterd | grep -q 'cannot be compiled' && fail "it is interpreted"
is "the folder of compiled code" "$(mode /var/lib/rosterd/rosterd-plugins)" "rosterd:rosterd 700"
find /var/lib/rosterd/rosterd-plugins -name SHA256SUMS | grep -q . || fail "no compiled code was kept"
cp -p /run/before.cfg.lua /etc/rosterd/prosody.cfg.lua
rm -r /etc/rosterd/modules
systemctl restart rosterd
serving
pgrep -f plugin-worker && fail "the process of the script is still there"

step "fresh: upgrade keeps what the administrator wrote"
echo "-- a line of the administrator's" >>/etc/rosterd/prosody.cfg.lua
pid=$(mainpid)
dpkg -i /rosterd.deb
tail -n 1 /etc/rosterd/prosody.cfg.lua | grep -q administrator || fail "the configuration was replaced"
is the.configuration "$(mode /etc/rosterd/prosody.cfg.lua)" "root:rosterd 640"
[ "$(mainpid)" != "$pid" ] || fail "the old program still runs"
serving
systemctl stop rosterd

step "in place of Prosody: files as Debian's package and prosodyctl leave them"
getent passwd prosody >/dev/null || adduser --system --group --quiet --home /var/lib/prosody --no-create-home prosody
install -d -o root -g prosody -m 754 /etc/prosody/conf.d
install -d -o root -g prosody -m 750 /etc/prosody/certs
install -d -o prosody -g adm -m 750 /var/log/prosody
install -d -o prosody -g prosody -m 750 /var/lib/prosody /var/lib/prosody/example%2ecom /var/lib/prosody/example%2ecom/accounts
cat >/etc/prosody/prosody.cfg.lua <<'LUA'
modules_enabled = { "roster"; "saslauth"; "tls"; "disco"; "ping"; "posix" }
pidfile = "/run/prosody/prosody.pid"
authentication = "internal_hashed"
log = { info = "/var/log/prosody/prosody.log"; error = "/var/log/prosody/prosody.err" }
certificates = "certs"
Include "conf.d/*.cfg.lua"
LUA
cat >/etc/prosody/conf.d/example.com.cfg.lua <<'LUA'
VirtualHost "example.com"
	modules_enabled = { "http_roster_admin" }
	modules_disabled = { "roster" }
	http_roster_url = "http://localhost/contacts/%s"
LUA
chgrp prosody /etc/prosody/prosody.cfg.lua
chmod 640 /etc/prosody/prosody.cfg.lua
printf 'return {\n\t["password"] = "secret";\n};\n' >/var/lib/prosody/example%2ecom/accounts/juliet.dat
chown prosody:prosody /var/lib/prosody/example%2ecom/accounts/juliet.dat
chmod 640 /var/lib/prosody/example%2ecom/accounts/juliet.dat
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /etc/prosody/certs/example.com.key -out /etc/prosody/certs/example.com.crt \
	-days 30 -subj /CN=example.com -addext subjectAltName=DNS:example.com 2>/dev/null
chgrp prosody /etc/prosody/certs/example.com.*
chmod 640 /etc/prosody/certs/example.com.*
prosodys="--config /etc/prosody/prosody.cfg.lua"

install -D -m 644 /usr/share/doc/rosterd/examples/prosody.conf /etc/systemd/system/rosterd.service.d/prosody.conf
systemctl daemon-reload
systemd-analyze verify /lib/systemd/system/rosterd.service
# shellcheck disable=SC2086
rosterd check $prosodys | grep -E 'REFUSED|SEC003' && fail "something is wrong with the configuration or its certificates"
systemctl start rosterd
# shellcheck disable=SC2086
serving $prosodys
is "its user" "$(ps -o user= -p "$(mainpid)")" prosody
is the.pidfile "$(cat /run/prosody/prosody.pid)" "$(mainpid)"
is the.database "$(mode /var/lib/prosody/rosterd.sqlite)" "prosody:prosody 600"
is "the state of the fresh installation" "$(mode /var/lib/rosterd)" "rosterd:rosterd 750"
grep -q 'service=c2s' /var/log/prosody/prosody.log || fail "nothing is logged where Prosody logs"
grep 'no certificate' /var/log/prosody/prosody.log && fail "the certificate is not found"
# shellcheck disable=SC2086
is "the accounts" "$(rosterd user list $prosodys | awk '{ print $1, $2 }')" "juliet@example.com prosody"
# shellcheck disable=SC2086
echo new | rosterd user passwd juliet@example.com $prosodys
is "the account" "$(mode /var/lib/prosody/example%2ecom/accounts/juliet.dat)" "prosody:prosody 640"
systemctl reload rosterd
# shellcheck disable=SC2086
serving $prosodys
systemctl stop rosterd
rm -r /etc/systemd/system/rosterd.service.d
systemctl daemon-reload

step "remove and purge"
systemctl start rosterd
dpkg --remove rosterd
is "the server" "$(systemctl is-active rosterd || true)" inactive
[ -e /etc/rosterd/prosody.cfg.lua ] || fail "the configuration is gone before a purge"
[ -e /var/lib/rosterd/rosterd.sqlite ] || fail "the accounts are gone before a purge"
dpkg --purge rosterd
for left in /etc/rosterd /var/lib/rosterd /usr/bin/rosterd /usr/share/doc/rosterd /lib/systemd/system/rosterd.service; do
	[ ! -e $left ] || fail "$left is left"
done

#!/bin/bash
# Tried inside of the machine of `npm run vm:service`: install, serve, kill, reload, upgrade under traffic, remove, purge.
export PATH=/usr/sbin:/usr/bin NO_COLOR=1 DEBIAN_FRONTEND=noninteractive
results=/results
mkdir -p $results

if [ "$1" = end ]; then
  [ -e $results/.status ] || echo 1 >$results/.status
  journalctl -b --no-pager >$results/journal.txt 2>&1
  stty raw -echo </dev/ttyS1
  tar -C $results -cf - . | cat >/dev/ttyS1
  stty -F /dev/ttyS1 raw
  echo b >/proc/sysrq-trigger
  exit
fi

failed=0
check() { # what, and a command that must succeed
  local what=$1
  shift
  if "$@" >$results/last.txt 2>&1; then
    echo "ok   $what"
  else
    echo "FAIL $what: $* ($?)"
    head -20 $results/last.txt
    failed=$((failed + 1))
  fi
}
within() { # seconds, and a command that must succeed until then
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.3
  done
}
is() { # what, what it is, what it should be
  check "$1: $3" test "$2" = "$3"
}
property() { systemctl show -P "$1" subflow; }
path_manager() { sysctl -n net.mptcp.path_manager 2>/dev/null || sed 's/0/kernel/; s/1/userspace/' /proc/sys/net/mptcp/pm_type; }
subflows() { subflow -j connections | grep -o '"remote_id"' | wc -l; }
has_subflows() { [ "$(subflows)" = "$1" ]; }
# The file may be empty for a moment.
beats() { local n; n=$(cat /run/beats 2>/dev/null); echo "${n:-0}"; }
beats_on() { local before; before=$(beats); within 10 test_more "$before"; }
test_more() { [ "$(beats)" -gt "$1" ]; }

echo "Linux $(uname -r), $(systemctl --version | head -1), Node $(node --version 2>/dev/null), $SECONDS s"

# --- a network: this host, with two links to a server in a namespace
modprobe -a veth mptcp_diag tcp_diag inet_diag 2>/dev/null
ip link set lo up
ip netns add server
for n in 1 2; do
  ip link add eth$n type veth peer name s$n netns server
  ip address add 10.0.$n.1/24 dev eth$n
  ip link set eth$n up
  ip -n server address add 10.0.$n.2/24 dev s$n
  ip -n server link set s$n up
  ip route add default via 10.0.$n.2 dev eth$n metric $n
done
ip -n server link set lo up
cat >/run/talk.py <<'END'
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
if sys.argv[1] == "serve":
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("10.0.1.2", 5000)); s.listen()
    while True:
        peer, _ = s.accept()
        while peer.recv(9): peer.send(b"pong")
s.connect(("10.0.1.2", 5000))
for n in range(10**6):
    s.send(b"ping"); s.recv(9)
    with open("/run/beats", "w") as file: file.write(str(n))
    time.sleep(0.1)
END
ip netns exec server python3 /run/talk.py serve &
server=$!
# Debian's postinst has enabled it; its turn comes further down.
systemctl disable --now mptcp 2>/dev/null

# --- install
package=$(dpkg-deb -f /check/debs/*_0.1.0_amd64.deb Package)
find /etc /usr /var /run /opt -xdev \( -type f -o -type l -o -type d \) 2>/dev/null | sort >/tmp/before
check "installs" dpkg -i /check/debs/*_0.1.0_amd64.deb
check "the user subflow is there" id subflow
is "not enabled by being installed" "$(systemctl is-enabled subflow)" disabled
is "not started by being installed" "$(systemctl is-active subflow)" inactive
check "systemd finds no fault in the units" bash -c 'out=$(systemd-analyze verify subflow.service subflow@server.service --man=no 2>&1 | grep -i subflow); [ -z "$out" ] || { echo "$out"; false; }'
for unit in subflow.service subflow@server.service; do
  check "exposure of $unit below 1.5" bash -c "systemd-analyze security --offline=true --no-pager /usr/lib/systemd/system/${unit/@server/@} | tail -1 | grep -oE '[0-9]+[.][0-9]+' | awk '{print; exit !(\$1 < 1.5)}'"
  cat $results/last.txt
done

# --- serve
is "path manager before" "$(path_manager)" kernel
check "starts" systemctl enable --now subflow
systemctl status --no-pager subflow >$results/status.txt 2>&1
journalctl -u subflow --no-pager >$results/first-journal.txt
is "active" "$(property ActiveState)" active
pid=$(property MainPID)
is "runs as" "$(ps -o user= -p "$pid")" subflow
is "capabilities of the main thread" "$(awk '/CapEff/ {print $2}' /proc/$pid/status)" 0000000000001400
is "it gains no more" "$(awk '/NoNewPrivs/ {print $2}' /proc/$pid/status)" 1
grep -hE '^(Name|CapEff|CapBnd|Seccomp):' /proc/$pid/task/*/status >$results/threads.txt
is "path manager, by a user who is not root" "$(path_manager)" userspace
is "mode of the runtime directory" "$(stat -c '%U:%G %a' /run/subflow)" "subflow:subflow 751"
is "mode of the socket" "$(find /run/subflow -name '*.sock' ! -name '*.apps.sock' -printf '%u:%g %m\n')" "subflow:subflow 660"
is "mode of the applications' socket" "$(stat -c '%U:%G %a' /run/subflow/*.apps.sock)" "subflow:subflow 666"
is "mode of the state directory" "$(stat -c '%U:%G %a' /var/lib/subflow)" "subflow:subflow 750"
check "root asks it" subflow status
subflow status >$results/subflow-status.txt 2>&1
python3 /run/talk.py talk &
client=$!
check "a connection gets its second subflow" within 40 has_subflows 2
subflow connections >$results/connections.txt 2>&1
check "both links have a rule and a table" bash -c '[ $(ip rule | grep -c "from 10.0.[12].1 ") -ge 1 ]'
ip rule >$results/rules.txt
check "data flow" beats_on

# --- loss and return, by the service
ip link set eth1 down
check "data flow without the first link" beats_on
ip link set eth1 up
ip route add default via 10.0.1.2 dev eth1 metric 1 2>/dev/null
check "the subflow comes back" within 30 has_subflows 2

# --- the rest of its life
check "reload" systemctl reload subflow
check "reload is logged" within 10 bash -c 'journalctl -u subflow | grep -q "configuration read again"'
echo 'limts: {}' >/etc/subflow/conf.d.yaml
mkdir -p /etc/subflow/conf.d && mv /etc/subflow/conf.d.yaml /etc/subflow/conf.d/wrong.yaml
systemctl reload subflow
check "a wrong configuration is logged, and changes nothing" within 10 bash -c 'journalctl -u subflow | grep -q "unknown key"'
is "still active" "$(property ActiveState)" active
rm -r /etc/subflow/conf.d
check "the watchdog is fed" bash -c 'a=$(systemctl show -P WatchdogTimestampMonotonic subflow); sleep 17; b=$(systemctl show -P WatchdogTimestampMonotonic subflow); [ "$b" -gt "$a" ]'
useradd -m looker 2>/dev/null && usermod -g subflow looker
check "a member of the group asks it" runuser -u looker -- subflow -j why

# --- killed
kill -9 "$pid"
check "after kill -9 the in-kernel path manager is in charge at once, or the next daemon is" within 5 bash -c '[ "$(cat /proc/sys/net/mptcp/pm_type)" = 0 ] || [ "$(systemctl show -P NRestarts subflow)" = 1 ]'
check "it comes back by itself" within 60 bash -c '[ "$(systemctl is-active subflow)" = active ] && [ "$(systemctl show -P NRestarts subflow)" = 1 ]'
check "both subflows are still there" within 20 has_subflows 2
check "data flow" beats_on
# Hung: the watchdog ends it and it is started again.
kill -STOP "$(property MainPID)"
check "hung, it is ended by the watchdog and started again" within 120 bash -c '[ "$(systemctl show -P NRestarts subflow)" = 2 ] && [ "$(systemctl is-active subflow)" = active ]'
check "data flow" beats_on

# --- somebody's policy, a quota, the black box: as the service lives, shut in
mkdir -p /etc/subflow/policies /etc/subflow/conf.d
cat >/etc/subflow/policies/all.mjs <<'END'
export const policy = {
  name: "all",
  about: "a subflow over each pair",
  plan: (view) => ({
    subflows: [
      ...view.subflows.map((keep) => ({ keep })),
      ...view.pairs.filter(({ subflows, blocked }) => subflows.length === 0 && blocked === "").map((open) => ({ open })),
    ],
  }),
};
END
cat >/etc/subflow/conf.d/all.yaml <<'END'
plugins: { all: /etc/subflow/policies/all.mjs }
policy: plugin:all
interfaces:
  - { name: eth2, role: subflow, quota: 20MB/month }
END
check "its configuration is right" subflow config check
check "starts with a plug-in and a quota" systemctl restart subflow
plugin() { pgrep -u subflow -f "$1" | head -1; }
is_running() { [ -n "$(plugin '/plugin/.*\.js|subflow-plugin')" ]; }
check "the plug-in runs, as the service's user" within 60 is_running
by_plugin() { subflow connections | grep -q 'policy plugin:all'; }
check "the connection is served by it" within 40 by_plugin
subflow connections
ps -u subflow -o pid,ppid,user,ni,args --cols 200
sleep 1
for pid in $(pgrep -u subflow); do
  [ "$pid" = "$(property MainPID)" ] && continue
  echo "$(tr '\0' ' ' </proc/$pid/cmdline | cut -c1-60): $(grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/$pid/status | tr -s '\t\n' ' ') $(grep 'Max data' /proc/$pid/limits)"
  case "$(tr '\0' ' ' </proc/$pid/cmdline)" in *sleep*|*last-will*) continue ;; esac
  is "a process of the plug-in can nothing" "$(awk '/CapEff/ {print $2}' /proc/$pid/status)" 0000000000000000
done
journalctl -u subflow -o cat --no-pager | grep -iE 'plug|ulimit|nice|refused|EPERM' | tail -20
check "nothing of the plug-in was refused" bash -c '! journalctl -u subflow -o cat | grep -qE "ulimit|cannot set niceness|not permitted|Operation not"'
node_of_plugin() { pgrep -u subflow -f -- '--max-old-space-size' | tail -1; }
killed=$(node_of_plugin)
check "there is one to kill" test -n "$killed"
kill -9 "$killed"
another() { local now; now=$(node_of_plugin); [ -n "$now" ] && [ "$now" != "$killed" ]; }
check "killed, the plug-in begins anew" within 60 another
check "data flow" beats_on
ip link set eth1 down
check "without the first link, with a plug-in, data flow" beats_on
ip link set eth1 up
ip route add default via 10.0.1.2 dev eth1 metric 1 2>/dev/null
check "by the plug-in the subflow comes back" within 40 has_subflows 2
has_quota() { subflow -j status | grep -q '"quotas"'; }
check "the quota is shown" within 20 has_quota
subflow status | grep -A2 -E 'quota|black box'
python3 - <<'END'
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for n in range(17000): s.sendto(b"x" * 1400, ("10.0.2.2", 9))
END
warned() { journalctl -u subflow -o cat | grep -qi 'quota'; }
check "what the quota counts is said" within 60 warned
check "it is kept in the state directory" within 30 test -s /var/lib/subflow/quota.json
journalctl -u subflow -o cat --no-pager | grep -i quota | tail -3
check "the black box is in the state directory" bash -c 'ls /var/lib/subflow/black-box/* && [ "$(stat -c %U:%G:%a /var/lib/subflow/black-box/* | sort -u)" = subflow:subflow:640 ]'
check "history tells of the connection" bash -c "subflow history | grep -q '10.0.1.1:.*subflows'"
check "record" subflow record /run/service.rec --last 10m
check "and it plays to the same" bash -c 'subflow replay /run/service.rec | grep -q "^The same"'
tail -3 $results/last.txt
rm -f /run/service.rec
pids=$(pgrep -u subflow | tr '\n' ' ')
rm -r /etc/subflow/policies /etc/subflow/conf.d
check "without it again" systemctl restart subflow
check "no process of before is left" within 20 bash -c "for pid in $pids; do [ -e /proc/\$pid ] && exit 1; done; true"
check "the quota's count outlives it" test -s /var/lib/subflow/quota.json
check "both subflows are still there" within 20 has_subflows 2
check "data flow" beats_on

# --- another namespace
check "an instance for a namespace starts" systemctl start subflow@server
is "and is in that namespace" "$(stat -Lc %i /proc/$(systemctl show -P MainPID subflow@server)/ns/net)" "$(stat -Lc %i /run/netns/server)"
check "and is asked by its name" subflow -n server status
check "and stops" systemctl stop subflow@server
is "without an instance of a namespace that is not there" "$(systemctl start subflow@nothing; systemctl is-active subflow@nothing)" inactive

# --- mptcpd as a neighbour
if ls /usr/lib/*/mptcpd/addr_adv.so >/dev/null 2>&1; then
  is_beside() { systemctl -q is-active mptcp && systemctl -q is-active subflow; }
  systemctl start mptcp
  check "without the drop-in mptcpd runs beside" within 20 is_beside
  check "doctor names it" bash -c 'subflow doctor | grep -q "mptcpd and subflow both manage"'
  install -D -m 644 /usr/share/doc/subflow*/drop-ins/mptcpd-beside.conf /etc/systemd/system/mptcp.service.d/subflow.conf
  systemctl daemon-reload
  check "with mptcpd-beside.conf mptcpd starts" systemctl restart mptcp
  check "and lives, without addr_adv" bash -c 'sleep 2; grep -qz -- --load-plugins=sspi /proc/$(systemctl show -P MainPID mptcp)/cmdline && ! grep -q addr_adv /proc/$(systemctl show -P MainPID mptcp)/maps'
  install -m 644 /usr/share/doc/subflow*/drop-ins/mptcpd.conf /etc/systemd/system/mptcp.service.d/subflow.conf
  systemctl daemon-reload
  systemctl try-restart mptcp
  is "with mptcpd.conf it ends" "$(systemctl is-active mptcp)" inactive
  systemctl start mptcp
  is "and does not start" "$(systemctl is-active mptcp)" inactive
  is "Subflow was not disturbed" "$(property ActiveState)" active
  systemctl -q disable subflow
  systemctl start mptcp
  is "without Subflow enabled it starts" "$(systemctl is-active mptcp)" active
  systemctl stop mptcp
  systemctl -q enable subflow
  rm -r /etc/systemd/system/mptcp.service.d
  systemctl daemon-reload
  systemctl reset-failed mptcp 2>/dev/null
fi

# --- programs
check "exec gives MPTCP" bash -c '[ "$(subflow exec python3 -c "import socket; print(socket.socket().getsockopt(1, 38))")" = 262 ]'
check "apps sees who talks" bash -c "subflow -j apps | grep -q '\"pid\":$client,'"

# --- units that ask for TCP
cat >/usr/local/bin/web <<'END'
#!/usr/bin/python3
import os, socket
s = socket.socket(fileno=3) if os.environ.get("LISTEN_FDS") else socket.create_server(("10.0.1.1", 8080))
print("protocol", s.getsockopt(1, 38), flush=True)
while True: s.accept()[0].close()
END
chmod 755 /usr/local/bin/web
printf '[Service]\nExecStart=/usr/local/bin/web\nDynamicUser=yes\nProtectSystem=strict\nProtectHome=yes\n' >/run/systemd/system/web.service
printf '[Socket]\nListenStream=10.0.1.1:8081\nService=web.service\n' >/run/systemd/system/web.socket
systemctl daemon-reload
protocol() { journalctl -u web -o cat | grep -oE 'protocol [0-9]+' | tail -1; }
systemctl start web
within 10 test -n "$(protocol)"
is "a service opens TCP" "$(protocol)" "protocol 6"
check "enable" subflow enable web
cat $results/last.txt /etc/systemd/system/web.service.d/subflow-mptcp.conf
check "enabled knows that it runs without still" bash -c 'subflow -j enabled | grep -q "\"state\":\"pending\""'
systemctl restart web
check "it opens MPTCP" within 40 bash -c '[ "$(journalctl -u web -o cat | grep -oE "protocol [0-9]+" | tail -1)" = "protocol 262" ]'
subflow enabled
check "enabled knows that it runs with it" bash -c 'subflow -j enabled | grep -q "\"state\":\"active\""'
check "apps sees its unit" bash -c "subflow -j apps --all | grep -q '\"unit\":\"web.service\"'"
check "disable" subflow disable web --now
check "it opens TCP again" within 40 bash -c '[ "$(journalctl -u web -o cat | grep -oE "protocol [0-9]+" | tail -1)" = "protocol 6" ]'
check "nothing of it is left" test ! -e /etc/systemd/system/web.service.d
check "a unit that is not there is refused" bash -c '! subflow enable nothing'
if [ "$(systemctl --version | sed -n 's/^systemd \([0-9]*\).*/\1/p')" -ge 257 ]; then
  systemctl stop web
  check "a socket is enabled" subflow enable web.socket
  systemctl start web.socket
  check "systemd opens MPTCP" bash -c 'python3 -c "import socket; socket.create_connection((\"10.0.1.1\", 8081))"; sleep 3; journalctl -u web -o cat | grep -q "protocol 262"'
  check "by SocketProtocol" grep -q SocketProtocol=mptcp /etc/systemd/system/web.socket.d/subflow-mptcp.conf
  systemctl stop web.socket
else
  check "a socket is refused by an older systemd" bash -c '! subflow enable web.socket'
fi
systemctl stop web
subflow enable web
rm /usr/local/bin/web

# --- by the kernel
own() { python3 -c 'import socket; print(*(socket.socket(f, t, p).getsockopt(1, 38) for f, t, p in ((2, 1, 0), (10, 1 | 0o2000000, 6), (2, 2, 0), (1, 1, 0))))'; }
if grep -qw update_socket_protocol /proc/kallsyms; then
  is "sockets before: TCP, TCP over IPv6, UDP, Unix" "$(own)" "6 6 17 0"
  check "enable --all" subflow enable --all
  is "sockets with it" "$(own)" "262 262 17 0"
  check "nothing of the command runs on" bash -c '! pgrep -f "[s]ubflow enable"'
  check "a second time does nothing" bash -c 'subflow enable --all 2>&1 | grep -q "is enabled already"'
  check "a user's rule beside it" subflow enable --user looker
  subflow enabled
  subflow -j enabled >$results/enabled.json
  check "disable --all" subflow disable --all
  is "sockets of root without it" "$(own)" "6 6 17 0"
  is "sockets of the user, still" "$(runuser -u looker -- bash -c "$(declare -f own); own")" "262 262 17 0"
  check "a user who is not root may not" runuser -u looker -- bash -c '! subflow enable --all'
  check "disable --user" subflow disable --user looker
  is "sockets of the user without it" "$(runuser -u looker -- bash -c "$(declare -f own); own")" "6 6 17 0"
  mkdir -p /sys/fs/cgroup/one/below /sys/fs/cgroup/two
  check "enable --cgroup" subflow enable --cgroup /one
  in_cgroup() { bash -c "$(declare -f own); echo \$\$ >/sys/fs/cgroup/$1/cgroup.procs; own"; }
  is "sockets in the cgroup" "$(in_cgroup one)" "262 262 17 0"
  is "sockets below it" "$(in_cgroup one/below)" "262 262 17 0"
  is "sockets in another" "$(in_cgroup two)" "6 6 17 0"
  subflow enabled
  check "disable --cgroup" subflow disable --cgroup /one
  is "sockets in the cgroup without it" "$(in_cgroup one)" "6 6 17 0"
  check "nothing is left of it" test ! -e /sys/fs/bpf/subflow
  rmdir /sys/fs/cgroup/one/below /sys/fs/cgroup/one /sys/fs/cgroup/two
  check "left for the purge" subflow enable --user looker
else
  check "the kernel is too old for rules, and that is said" bash -c 'subflow enable --all 2>&1 | grep -q "no update_socket_protocol, which Linux 6.6"'
fi

# --- upgrade under traffic
before=$(property MainPID)
check "upgrades" dpkg -i /check/debs/*_0.1.1_amd64.deb
check "another process serves" within 60 bash -c "[ \$(systemctl show -P MainPID subflow) != $before ] && [ \$(systemctl is-active subflow) = active ]"
check "both subflows are still there" within 20 has_subflows 2
check "data flow" beats_on
check "the client lives" kill -0 $client
is "still enabled" "$(systemctl is-enabled subflow)" enabled

# --- end
echo "# mine" >>/etc/subflow/subflow.yaml
check "removes" dpkg -r "$package"
is "path manager after" "$(path_manager)" kernel
is "no daemon is left" "$(pgrep -u subflow -c || true)" 0
check "the configuration stays" grep -q mine /etc/subflow/subflow.yaml
check "data flow" beats_on
kill $client
wait $client 2>/dev/null
check "purges" dpkg -P "$package"
kill $server
ip netns delete server
userdel -r looker 2>/dev/null
rm -f /run/beats /run/talk.py
find /etc /usr /var /run /opt -xdev \( -type f -o -type l -o -type d \) 2>/dev/null | sort >/tmp/after
diff /tmp/before /tmp/after | grep '^>' | grep -vE '/run/(adduser|agetty.reload)$|/var/(log|lib/(dpkg|systemd|private|misc))|/var/cache|/run/(systemd|log|udev|user|netns|lock|dbus|credentials)|/etc/(passwd|group|shadow|gshadow|subuid|subgid)-|__pycache__|/var/mail|/etc/\.pwd\.lock|/run/credentials' >$results/left.txt
check "nothing is left" test ! -s $results/left.txt
cat $results/left.txt
check "no rule of the kernel's is left" test ! -e /sys/fs/bpf/subflow
check "no user is left" bash -c '! id subflow'
journalctl -b --no-pager | grep -iE 'subflow.*(seccomp|SIGSYS|EPERM|EACCES|denied|a fault)' >$results/refused.txt
check "nothing was refused to it" test ! -s $results/refused.txt
cat $results/refused.txt

echo "$failed failed, after $SECONDS s"
[ $failed = 0 ] && echo 0 >$results/.status || echo 1 >$results/.status

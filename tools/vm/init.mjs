// The first process of the machine: a bash script that runs the command and hands back what it left in /results.

/** A word for the shell as it stands. */
export const quoted = (word) => `'${word.replaceAll("'", "'\\''")}'`;

/** The script for one command line; `environment` is what the command finds set. */
export function initScript(command, environment) {
  const exports = Object.entries(environment).map(([name, value]) => `export ${name}=${quoted(value)}`);
  return `#!/bin/bash
export PATH=/usr/local/bin:/usr/bin:/usr/sbin HOME=/root TERM=dumb
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm /run /sys/fs/cgroup
ln -sf /proc/self/fd /dev/fd
mount -t devpts pts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
ip link set lo up
for module in veth mptcp_diag tcp_diag inet_diag af_packet_diag netlink_diag; do modprobe -q $module; done
cd /subflow
${exports.join("\n")}
echo "vm: Linux $(uname -r), $(nproc) processors, $(cut -d' ' -f1 /proc/uptime) s after its start"
( ${command.map(quoted).join(" ")} ) </dev/null
echo $? >/results/.status
# The second serial line is a file outside.
stty raw -echo </dev/ttyS1
tar -C /results -cf - . | cat >/dev/ttyS1
# Waits until the line has sent everything (tcsetattr with TCSADRAIN).
stty -F /dev/ttyS1 raw
echo 1 >/proc/sys/kernel/sysrq
echo b >/proc/sysrq-trigger
`;
}

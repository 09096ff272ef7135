"""Opens a connection over Multipath TCP and asks the daemon for a policy for it, without being root: steer.py ADDRESS PORT POLICY [NAME=VALUE ...].
The administrator allows that by `applications: { steer: [POLICY, ...] }`. See docs/protocol.md."""

import json, os, socket, struct, sys

SOL_MPTCP, MPTCP_INFO = 284, 1


def daemon():
    directory = os.environ.get("SUBFLOW_RUNTIME_DIRECTORY", "/run/subflow")
    namespace = os.stat("/proc/self/ns/net").st_ino
    s = socket.socket(socket.AF_UNIX)
    s.connect(f"{directory}/{namespace}.apps.sock")
    return s.makefile("rw")


def token_of(connection):
    """mptcpi_token of struct mptcp_info (linux/mptcp.h): what the kernel and the daemon call it by."""
    return struct.unpack_from("I", connection.getsockopt(SOL_MPTCP, MPTCP_INFO, 16), 12)[0]


address, port, policy, *rest = sys.argv[1:]
connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)  # 262: IPPROTO_MPTCP
connection.connect((address, int(port)))
connection.send(b"hello")
params = {"token": token_of(connection), "policy": policy, "parameters": dict(word.split("=", 1) for word in rest)}
with daemon() as asked:
    asked.write(json.dumps({"v": 1, "id": 1, "method": "policy.set", "params": params}) + "\n")
    asked.flush()
    answer = json.loads(asked.readline() or sys.exit("the daemon has ended"))
print(answer["error"]["message"] if "error" in answer else f"{params['token']:08x} is planned by {policy}", flush=True)
sys.stdin.read()  # the connection lives as long as its input

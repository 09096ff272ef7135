"""Prints what happens to MPTCP connections: all of them as root or in the daemon's group, else one's own. See docs/protocol.md."""

import json, os, socket, sys


def connect():
    directory = os.environ.get("SUBFLOW_RUNTIME_DIRECTORY", "/run/subflow")
    namespace = os.stat("/proc/self/ns/net").st_ino
    for name in (f"{namespace}.sock", f"{namespace}.apps.sock"):
        try:
            daemon = socket.socket(socket.AF_UNIX)
            daemon.connect(f"{directory}/{name}")
            return daemon.makefile("rw")
        except PermissionError:
            continue
        except OSError as error:
            sys.exit(f"no Subflow daemon answers here: {directory}/{name}: {error}")
    sys.exit("this daemon has nothing to show to applications")


daemon, after = connect(), {}
while True:
    daemon.write(json.dumps({"v": 1, "id": 1, "method": "watch", "params": after}) + "\n")
    daemon.flush()
    answer = json.loads(daemon.readline() or sys.exit("the daemon has ended"))
    if "error" in answer:
        sys.exit(answer["error"]["message"])
    watched = answer["result"]
    after = {"after": watched["next"]}
    for c in watched["connections"]:
        print(f"{c['token']:08x} has {len(c['subflows'])} subflows, sent {c['bytesSent']}, received {c['bytesReceived']}")
    for token in watched["gone"]:
        print(f"{token:08x} is gone")
    for h in watched["happenings"]:
        print(f"{h.get('token', 0):08x} {h.get('text', h['type'])}", flush=True)

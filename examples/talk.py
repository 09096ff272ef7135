"""A ping and a pong, ten times a second, over Multipath TCP: `talk.py serve` on the server, then `talk.py` on the client."""
import socket, sys, time

SERVER = ("10.0.1.2", 5000)  # the server of `subflow lab example`
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)  # 262: IPPROTO_MPTCP
if sys.argv[1:] == ["serve"]:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(SERVER)
    s.listen()
    while True:
        peer, _ = s.accept()
        while peer.recv(9):
            peer.send(b"pong")
else:
    s.connect(SERVER)
    while True:
        s.send(b"ping")
        s.recv(9)
        time.sleep(0.1)

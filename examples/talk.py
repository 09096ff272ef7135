import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)  # IPPROTO_MPTCP
if sys.argv[1] == "serve":
    s.bind(("10.0.1.2", 5000)); s.listen(); c, _ = s.accept()
    while c.recv(9): c.send(b"pong")
else:
    s.connect(("10.0.1.2", 5000))
    while True: s.send(b"ping"); s.recv(9); time.sleep(0.1)

"""A proxy that interrupts connections: all TCP connections of this network namespace pass through it."""
import random
import select
import socket
import struct
import subprocess
import threading
import time

MARK = 1  # of the proxy's own packets, which are not redirected
SO_ORIGINAL_DST = 80  # linux/netfilter_ipv4.h
CHUNK_BYTES = 1 << 18
CHECK_SECONDS = 0.005  # between two checks of `order`


class Connection(threading.Thread):
    """A connection and its forwarded counterpart; only this thread uses them."""

    def __init__(self, near, far):
        super().__init__(daemon=True)
        self._ends = (near, far)
        self.stalled = False
        self.order = None  # "close", "reset"

    def run(self):
        try:
            self._forward()
        except OSError:
            pass
        for end in self._ends:
            if self.order == "reset":
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.close()

    def _forward(self):
        near, far = self._ends
        other = {near: far, far: near}
        waiting = {near: b"", far: b""}  # to be sent there
        near.setblocking(False)
        far.setblocking(False)
        while self.order is None:
            if self.stalled:
                time.sleep(CHECK_SECONDS)
                continue
            readers = [end for end in self._ends if not waiting[other[end]]]
            writers = [end for end in self._ends if waiting[end]]
            readable, writable, _ = select.select(readers, writers, [], CHECK_SECONDS)
            for end in readable:
                chunk = end.recv(CHUNK_BYTES)
                if not chunk:
                    other[end].setblocking(True)
                    return
                waiting[other[end]] = chunk
            for end in writable:
                waiting[end] = waiting[end][end.send(waiting[end]):]


class Proxy:
    """Accepts connections within a `with` statement."""

    def __enter__(self):
        self._lock = threading.Lock()
        self._connections = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        port = self._listener.getsockname()[1]
        subprocess.run(["nft", "-f", "-"], check=True, text=True, input=f"""
            table ip faults {{
              chain out {{
                type nat hook output priority -100;
                meta mark {MARK} return
                ip daddr 127.0.0.1 tcp dport != {port} redirect to :{port}
              }}
            }}""")
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_):
        subprocess.run(["nft", "delete", "table", "ip", "faults"], check=True)
        self._listener.close()

    def _accept(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            _, port, address = struct.unpack(
                "!HH4s8x", near.getsockopt(socket.SOL_IP, SO_ORIGINAL_DST, 16))
            far = socket.socket()
            far.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, MARK)
            try:
                far.connect((socket.inet_ntoa(address), port))
            except OSError:
                near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                near.close()
                far.close()
                continue
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(near, far)
            with self._lock:
                self._connections.append(connection)
            connection.start()

    def pick(self, rng: random.Random):
        """A random open connection, or None."""
        with self._lock:
            self._connections = [c for c in self._connections if c.is_alive()]
            return rng.choice(self._connections) if self._connections else None

"""Sends malformed frames to every port of a run: malformed_frames.py PID FRAMES. Prints the growth of memory and
descriptors of its processes, and exits with 1 if it exceeds a limit."""
import os, random, socket, struct, subprocess, sys, time

RSS_GROWTH_MAX_KIB = 1024
DESCRIPTORS_MAX = 24  # growth: 16 handshakes, and descriptors that the run itself opens and closes

coordinator, frames = sys.argv[1], int(sys.argv[2])
pids = [coordinator] + subprocess.run(['pgrep', '-P', coordinator], capture_output=True, text=True).stdout.split()
random.seed(1)


def name(pid):
    words = open(f'/proc/{pid}/cmdline').read().split('\0')
    return words[words.index('--name') + 1] if '--name' in words else 'coordinator'


def private_kib(pid):
    return sum(int(l.split()[1]) for l in open(f'/proc/{pid}/smaps_rollup') if l.startswith('Private_'))


def listening(pid):
    """Hosts and ports on which a process listens."""
    inodes = set()
    for fd in os.listdir(f'/proc/{pid}/fd'):
        try: link = os.readlink(f'/proc/{pid}/fd/{fd}')
        except OSError: continue
        if link.startswith('socket:['): inodes.add(link[8:-1])
    lines = [l.split() for l in open('/proc/net/tcp').read().splitlines()[1:]]
    ends = [l[1].split(':') for l in lines if l[3] == '0A' and l[9] in inodes]
    return [(socket.inet_ntoa(struct.pack('<I', int(h, 16))), int(p, 16)) for h, p in ends]


def frame(header, body_bytes=0): return b'LAT1' + struct.pack('<IQ', len(header), body_bytes) + header


def field(number, value): return bytes([number << 3 | 2, len(value)]) + value


hello = b'\x08\x03' + field(2, os.urandom(32)) + field(3, b'hidden1') + field(4, b'source') + field(5, os.urandom(32))


def malformed():
    kind = random.randrange(12)
    if kind == 0: return b'GET / HTTP/1.0\r\n\r\n'
    if kind == 1: return os.urandom(random.randrange(4096))
    if kind == 2: return frame(os.urandom(random.randrange(256)))
    if kind == 3: return b'LAT1' + struct.pack('<IQ', random.choice([257, 2**20, 2**32 - 1]), 0)
    if kind == 4: return b'LAT1' + struct.pack('<IQ', 10, random.choice([4, 2**20, 2**63, 2**64 - 1]))
    if kind == 5: return frame(field(2, hello))[:random.randrange(100)]          # truncated
    if kind == 6: return frame(field(2, hello)) + frame(field(4, os.urandom(32)))  # out of order, no proof
    if kind == 7: return frame(b'\x52\x00')                                       # activity before the handshake
    if kind == 8: return frame(b'\xc2\x02' + bytes([200, 1]) + b'\x1a\x00' * 100)   # an assignment of 100 peers
    if kind == 9: return b'\x16\x03\x01\x00\x24\x01\x00\x00\x20' + os.urandom(32)  # TLS
    if kind == 10: return frame(field(6, b'no'))
    bytes_ = bytearray(frame(field(2, hello)))
    for _ in range(3): bytes_[random.randrange(len(bytes_))] = random.randrange(256)
    return bytes(bytes_)


ends = [end for pid in pids for end in listening(pid)]
assert len(ends) == len(pids), (ends, pids)
descriptors = {pid: len(os.listdir(f'/proc/{pid}/fd')) for pid in pids}
most = dict(descriptors)


def measure():
    for pid in pids: most[pid] = max(most[pid], len(os.listdir(f'/proc/{pid}/fd')))


held, sent = [], 0


def send(count):
    """Half of the connections are closed at once, the others after 50 more."""
    global sent
    for _ in range(count):
        s = socket.create_connection(ends[sent % len(ends)], timeout=20)
        try: s.sendall(malformed())
        except OSError: pass
        sent += 1
        if random.randrange(2): s.close()
        else: held.append(s)
        if len(held) > 50: held.pop(0).close()
        if sent % 100 == 0: measure()


# The first connections make each process allocate what it needs to refuse callers; then memory must not grow.
send(min(1000, frames // 4))
before = {pid: private_kib(pid) for pid in pids}
began = time.time()
warm = sent
send(frames - sent)
seconds = time.time() - began
for s in held: s.close()
time.sleep(0.2)
bad = False
for pid in pids:
    grown = private_kib(pid) - before[pid]
    extra = most[pid] - descriptors[pid]
    bad |= grown > RSS_GROWTH_MAX_KIB or extra > DESCRIPTORS_MAX
    print(f'      {name(pid)}: {before[pid]} KiB private, {grown:+d} KiB; at most {extra} descriptors more')
print(f'      {sent} malformed connections, {len(ends)} ports, {((sent - warm) / seconds):.0f} a second')
sys.exit(bad)

# A stranger who finds a node's port is refused and logged, and changes nothing.
. tests/system/support.sh

fresh; $lateral run $long --set learning.epochs=15 --transport tcp --out "$dir"; reference=$(value "$dir" state_sha256)
fresh; $lateral run $long --set learning.epochs=15 --transport tcp --out "$dir" & pid=$!
wait_for 20 test -s "$dir/metrics.csv"
$python - $pid <<'P'
import os, socket, struct, subprocess, sys
# Every port on which the coordinator or a node listens.
kids = subprocess.run(['pgrep', '-P', sys.argv[1]], capture_output=True, text=True).stdout.split()
inodes = set()
for pid in kids + [sys.argv[1]]:
    for fd in os.listdir(f'/proc/{pid}/fd'):
        try: link = os.readlink(f'/proc/{pid}/fd/{fd}')
        except OSError: continue
        if link.startswith('socket:['): inodes.add(link[8:-1])
ports = [int(l.split()[1].split(':')[1], 16) for l in open('/proc/net/tcp').read().splitlines()[1:]
         if l.split()[3] == '0A' and l.split()[9] in inodes]
assert len(ports) == 6, ports
def frame(header, body=b''): return b'LAT1' + struct.pack('<IQ', len(header), len(body)) + header + body
attacks = [b'GET / HTTP/1.0\r\n\r\n', b'', os.urandom(4096), frame(b'\xff' * 100), frame(b'', b''), b'LAT1' + struct.pack('<IQ', 2**32 - 1, 0),
           b'LAT1' + struct.pack('<IQ', 10, 2**63), frame(b'\x12\x00'), frame(b'\x52\x00'), frame(b'\xea\x02\x00')]
for port in ports:
    for attack in attacks:
        s = socket.create_connection(('127.0.0.1', port)); s.sendall(attack); s.close()
P
wait $pid; rc=$?
check "the run ends well (exit $rc)" test $rc = 0
check "with the bits of a run that nobody disturbed" equal "$(value "$dir" state_sha256)" "$reference"
for node in coordinator source hidden1 readout; do
  check "$node logged them: $(grep -m1 refused "$dir/log/$node.log")" test "$(grep -c refused "$dir/log/$node.log")" -ge 9
done
finish

# Beyond loopback a run uses TLS, with the same bits; messages cannot be read, and plain TCP is refused.
. tests/system/support.sh
host=$(outside_address)
if [ -z "$host" ]; then echo "SKIPPED: this machine has no address but loopback"; exit 77; fi
err=$work/err

fresh; $lateral run $small --out "$dir"; reference=$(value "$dir" state_sha256)
fresh; $lateral run $small --transport tcp --listen "$host" --out "$dir" 2>"$err"; rc=$?
check "a run on $host: exit 0 (is $rc): $(cat "$err")" test $rc = 0 -a ! -s "$err"
check "the same bits as over Unix sockets" equal "$(value "$dir" state_sha256)" "$reference"
fresh; $lateral run $small --transport tcp --listen "$host" --plain-tcp --out "$dir" 2>"$err"
check "--plain-tcp: the same bits, and one line of warning: $(cat "$err")" has_line "$err" "warning: --plain-tcp"
check "--plain-tcp: the same bits" equal "$(value "$dir" state_sha256)" "$reference"
fresh; $lateral run $small --transport tcp --listen 0.0.0.0 --out "$dir" 2>"$err"; rc=$?
check "0.0.0.0 is not an address to dial: exit 2 (is $rc): $(cat "$err")" has_line "$err" "'tcp:0.0.0.0:0' is no address that peers can dial"
$lateral run $small --listen "$host" --out "$dir" 2>"$err"; rc=$?
check "--listen without TCP is a mistake (exit $rc)" test $rc = 2

# The first bytes that a node sends to a listener that is not a node.
first_bytes() {
  $python - "$@" <<'P'
import socket, subprocess, sys
lateral, host, *options = sys.argv[1:]
listener = socket.socket(); listener.bind((host, 0)); listener.listen(1)
node = subprocess.Popen([lateral, 'node', '--name', 'source', '--coordinator', f'tcp:{host}:{listener.getsockname()[1]}',
                         '--digest', '0' * 64, '--secret', '/dev/stdin', '--listen', f'tcp:{host}:0', *options],
                        stdin=subprocess.PIPE, stderr=subprocess.PIPE)
node.stdin.write(b'5' * 64); node.stdin.close()
caller, _ = listener.accept()
print(caller.recv(4)); caller.close(); listener.close()
node.stderr.read(); node.wait(timeout=10)
P
}
check "on $host a node first sends a ClientHello" equal "$(first_bytes "$lateral" "$host" | cut -c 1-10)" "b'\\x16\\x03"
check "on $host with --plain-tcp, a frame" equal "$(first_bytes "$lateral" "$host" --plain-tcp)" "b'LAT1'"
check "on loopback, a frame" equal "$(first_bytes "$lateral" 127.0.0.1)" "b'LAT1'"
finish

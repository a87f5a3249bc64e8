# A machine of its own in a container, for the test of the unit: this machine's files under an
# overlay, its own systemd, network and bpffs. Nothing here outlives the test. Variables: WORK (an
# empty directory), PROJECT, DENO, CACHE, NAME. Run in a mount namespace of its own.
set -e
umask 022
mount -t tmpfs -o mode=0755 tmpfs "$WORK"
mkdir "$WORK/upper" "$WORK/work" "$WORK/root" "$WORK/bpf" "$WORK/empty"
mount -t overlay overlay -o "lowerdir=/,upperdir=$WORK/upper,workdir=$WORK/work" "$WORK/root"
mount -t bpf -o mode=0700 bpf "$WORK/bpf"
root=$WORK/root
echo uninitialized >"$root/etc/machine-id"
mkdir -p "$root/opt/sources" "$root/opt/cache" "$root/etc/sysusers.d" "$root/etc/tmpfiles.d" \
  "$root/etc/btblocker" "$root/etc/systemd/system/btblocker.service.d"
cp "$PROJECT/deploy/systemd/btblocker.service" "$root/etc/systemd/system/"
cp "$PROJECT/deploy/systemd/btblocker.sysusers" "$root/etc/sysusers.d/btblocker.conf"
cp "$PROJECT/deploy/systemd/btblocker.tmpfiles" "$root/etc/tmpfiles.d/btblocker.conf"
cp "$DENO" "$root/opt/deno"
chmod 0755 "$root/opt/deno"
cat >"$root/etc/systemd/system/btblocker.service.d/sources.conf" <<EOF
[Service]
ExecStart=
ExecStart=/opt/deno run --quiet --no-prompt -A /opt/sources/main.ts run
Environment=DENO_DIR=/opt/cache DENO_NO_UPDATE_CHECK=1
EOF
cat >"$root/etc/btblocker/config.toml" <<EOF
interface = "guarded0"
queue_count = 1
detection_log = "/var/log/btblocker/detections.log"
detection_pcap = "/var/log/btblocker/detections.pcapng"
EOF
chmod 0644 "$root/etc/btblocker/config.toml"
# It ends with the test, however that ends.
exec setpriv --pdeathsig TERM systemd-nspawn --quiet --register=no --keep-unit --machine="$NAME" \
  --directory="$root" --private-network --capability=all --system-call-filter=@known \
  --bind="$WORK/bpf:/sys/fs/bpf" --bind-ro="$PROJECT:/opt/sources" --bind-ro="$CACHE:/opt/cache" \
  --console=pipe --boot systemd.unit=basic.target

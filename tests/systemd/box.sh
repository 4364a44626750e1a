#!/bin/bash
# Boots a real systemd in namespaces of its own over an overlay of this machine's root, with the units installed and one site file.
# Usage (as root): box.sh WORK_FOLDER SITE_PACKAGES SITE_FILE. Runs until its process group is ended; writes the box's PID 1 to WORK_FOLDER/pid.
set -eu
work=$1 packages=$2 site=$3
here=$(cd "$(dirname "$0")/../.." && pwd)
if [ "${4:-}" != inside ]; then
    tree=$(findmnt -rno TARGET -t cgroup2 | head -1)
    if [ -z "$tree" ]; then tree=$work/cgroup2; mkdir -p "$tree"; mount -t cgroup2 cgroup2 "$tree"; fi
    group=$tree/v2g-edge-box-$$
    mkdir "$group"
    echo "$group" >"$work/cgroup"
    echo $$ >"$group/cgroup.procs"
    exec unshare --mount --pid --uts --ipc --cgroup --net --fork --kill-child "$0" "$work" "$packages" "$site" inside
fi
mount --make-rprivate /
mount -t tmpfs tmpfs "$work"
mkdir "$work/upper" "$work/over" "$work/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/over" "$work/root"
root=$work/root
mkdir -p "$root/opt/v2g-edge/bin" "$root/opt/v2g-edge/lib/v2g_edge" "$root/opt/v2g-edge/lib/packages" "$root/etc/v2g-edge/secrets" "$root/old"
mount --bind "$here/v2g_edge" "$root/opt/v2g-edge/lib/v2g_edge"
mount --bind "$packages" "$root/opt/v2g-edge/lib/packages"
# Debian's own Python: the one of a home folder is hidden from the unit, as in production.
cat >"$root/opt/v2g-edge/bin/v2g-edge" <<'END'
#!/bin/sh
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/opt/v2g-edge/lib:/opt/v2g-edge/lib/packages exec /usr/bin/python3 -m v2g_edge.cli "$@"
END
cat >"$root/opt/v2g-edge/bin/python3" <<'END'
#!/bin/sh
[ "$1" = -I ] && shift
PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=/opt/v2g-edge/lib:/opt/v2g-edge/lib/packages exec /usr/bin/python3 -P "$@"
END
chmod 755 "$root/opt/v2g-edge/bin/v2g-edge" "$root/opt/v2g-edge/bin/python3"
cp "$here"/systemd/*.service "$root/etc/systemd/system/"
mkdir -p "$root/etc/sysusers.d" "$root/etc/tmpfiles.d"
cp "$here/systemd/v2g-edge.sysusers.conf" "$root/etc/sysusers.d/v2g-edge.conf"
cp "$here/systemd/v2g-edge.tmpfiles.conf" "$root/etc/tmpfiles.d/v2g-edge.conf"
cp "$site" "$root/etc/v2g-edge/site.toml"
echo secret >"$root/etc/v2g-edge/secrets/CP-A"
for target in sysinit basic sockets timers local-fs multi-user graphical network network-online; do
    rm -rf "$root/lib/systemd/system/$target.target.wants" "$root/etc/systemd/system/$target.target.wants"
done
rm -f "$root/etc/fstab" && : >"$root/etc/fstab"
cat >"$root/etc/systemd/system/v2g-box.target" <<'END'
[Unit]
Description=What the box needs
Requires=systemd-journald.socket systemd-journald.service dbus.socket
Wants=systemd-tmpfiles-setup.service
AllowIsolate=yes
END
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
mkdir "$root/dev/pts" "$root/dev/shm"
for node in null zero full random urandom tty; do cp -a "/dev/$node" "$root/dev/$node"; done
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
ip link set lo up || true
cd "$root"
pivot_root . old
umount -l old
mount --make-rshared /
systemd-sysusers /etc/sysusers.d/v2g-edge.conf
exec env -i container=v2g-box PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=v2g-box.target --log-target=null

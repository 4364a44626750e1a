#!/bin/bash
# Boots a real systemd in namespaces of its own over an overlay of a root folder; the folder itself is never written.
# Usage (as root): box.sh WORK_FOLDER ROOT_FOLDER SHARED_FOLDER. SHARED_FOLDER is /srv/shared in the box. Runs until its
# process group is ended; nothing is left of what happened inside.
set -eu
work=$1 lower=$2 shared=$3
if [ "${4:-}" != inside ]; then
    tree=$(findmnt -rno TARGET -t cgroup2 | head -1)
    if [ -z "$tree" ]; then tree=$work/cgroup2; mkdir -p "$tree"; mount -t cgroup2 cgroup2 "$tree"; fi
    group=$tree/v2g-edge-box-$$
    mkdir "$group"
    echo "$group" >"$work/cgroup"
    echo $$ >"$group/cgroup.procs"
    exec unshare --mount --pid --uts --ipc --cgroup --net --fork --kill-child "$0" "$work" "$lower" "$shared" inside
fi
mount --make-rprivate /
mount -t tmpfs -o size=2g tmpfs "$work"
mkdir "$work/upper" "$work/over" "$work/root"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$work/upper,workdir=$work/over" "$work/root"
root=$work/root
mkdir -p "$root/srv/shared" "$root/old"
mount --bind "$shared" "$root/srv/shared"
# Only what the box needs is started: no console, no network, none of the host's services where its root is the lower folder.
for target in sysinit basic sockets timers local-fs multi-user graphical network network-online; do
    rm -rf "$root/lib/systemd/system/$target.target.wants" "$root/etc/systemd/system/$target.target.wants"
done
: >"$root/etc/fstab"
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
exec env -i container=v2g-box PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=v2g-box.target --log-target=null

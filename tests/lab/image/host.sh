#!/bin/sh
# A container that behaves like a host: sshd in front, a Docker engine behind it that is started again whenever it dies.
# It runs without --privileged: a machine whose bounding set lacks CAP_SYS_RESOURCE refuses that. What --privileged would
# have made writable is made writable here.
set -eu

writable() { # writable PREFIX: every mount below it, one by one (a plain remount is refused for bind mounts)
  awk -v prefix="$1" 'index($5, prefix) == 1 { print $5 }' /proc/self/mountinfo | while read -r mount_point; do
    mount -o remount,bind,rw "$mount_point" 2>/dev/null || echo "lab: $mount_point stays read-only" >&2
  done
}

delegate_cgroup2() { # on cgroup v2 the engine can hand controllers down only from an empty root group
  [ -f /sys/fs/cgroup/cgroup.controllers ] || return 0
  mkdir -p /sys/fs/cgroup/lab
  while read -r pid; do echo "$pid" >/sys/fs/cgroup/lab/cgroup.procs 2>/dev/null || true; done </sys/fs/cgroup/cgroup.procs
  sed 's/[^ ]\{1,\}/+&/g' /sys/fs/cgroup/cgroup.controllers >/sys/fs/cgroup/cgroup.subtree_control || true
}

network() { # the lab's own range, nothing else; names come from /etc/hosts, and asking for others fails at once
  ip route delete default 2>/dev/null || true
  ip route replace 198.18.0.0/16 via "$LAB_GATEWAY"
  echo "nameserver $LAB_REGISTRY" >/etc/resolv.conf
  if ! iptables-nft -t nat -nL >/dev/null 2>&1; then
    update-alternatives --set iptables /usr/sbin/iptables-legacy >/dev/null
    update-alternatives --set ip6tables /usr/sbin/ip6tables-legacy >/dev/null
  fi
}

ssh_server() {
  mkdir -p /run/sshd
  cp /usr/local/share/lab/sshd_common.conf /etc/ssh/sshd_config.d/lab.conf
  [ "$(hostname)" != sese ] || cp /usr/local/share/lab/sshd_sese.conf /etc/ssh/sshd_config.d/host.conf
  [ -f /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N '' -C "lab $(hostname)" -f /etc/ssh/ssh_host_ed25519_key
  install -d -m 0700 -o mobuone -g mobuone /home/mobuone/.ssh
  install -m 0600 -o mobuone -g mobuone /lab/keys/id_ed25519.pub /home/mobuone/.ssh/authorized_keys
}

engine() {
  while :; do
    # a killed container keeps its files: stale pid files would stop the new engine
    rm -f /run/docker.pid /run/docker/containerd/containerd.pid
    dockerd --dns "$LAB_REGISTRY" >>/var/log/dockerd.log 2>&1 || true
    sleep 0.5
  done
}

writable /sys
writable /proc/
delegate_cgroup2
network
ssh_server
# the lab's own authority; the system store is the one the engine uses for every registry
grep -qxF '# lab' /etc/ssl/certs/ca-certificates.crt || { echo '# lab'; cat /lab/tls/ca.crt; } >>/etc/ssl/certs/ca-certificates.crt
engine &
exec /usr/sbin/sshd -D -e 2>>/var/log/sshd.log

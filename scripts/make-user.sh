#!/bin/sh
# SPDX-License-Identifier: MIT
# make-user.sh NAME: makes a user and its home in an image, unless there is one of that name.
# useradd is Debian's, adduser with -D is busybox's; where there is neither, two lines do.
set -eu
grep -q "^$1:" /etc/passwd && exit 0
id=1000
while grep -q "^[^:]*:[^:]*:$id:" /etc/passwd /etc/group; do id=$((id + 1)); done
if command -v useradd >/dev/null; then useradd -m -U -u "$id" "$1"
elif command -v adduser >/dev/null; then adduser -D -u "$id" "$1"
else
    echo "$1:x:$id:" >>/etc/group
    echo "$1:x:$id:$id::/home/$1:/bin/sh" >>/etc/passwd
    mkdir -p "/home/$1"
    chown "$id:$id" "/home/$1"
fi

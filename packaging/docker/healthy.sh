#!/bin/bash
# SPDX-License-Identifier: MIT
# Does the warden serve? For the image's health check, which has no HTTP client.
exec 3<>/dev/tcp/127.0.0.1/"${CLAWRDEN_API_PORT:-8421}" || exit 1
printf 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
read -r -t 4 _ status _ <&3
[ "$status" = 200 ]

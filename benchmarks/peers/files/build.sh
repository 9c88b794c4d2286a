#!/bin/sh
# The application in /srv/shop/app, built as its user; $1 is the digest of its source.
set -eu
export HOME=/srv/shop/home PATH=/opt/shop/bin:/usr/bin:/bin NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt CI=true
cd /srv/shop/app
pnpm install --frozen-lockfile
NODE_ENV=production pnpm run build
pnpm prune --prod --ignore-scripts
echo "$1" >/srv/shop/app/.built

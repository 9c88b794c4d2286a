#!/usr/bin/env bash
# An idempotent shell script that sets the service up: it runs on the host, as root, beside the directories files and app.
set -euo pipefail
cd "$(dirname "$0")"
versions='' digest='' password='' postgresql=''
# shellcheck source=/dev/null
. files/settings
export DEBIAN_FRONTEND=noninteractive
changed=0

# put SOURCE DESTINATION MODE [OWNER]: true when the file had to be written
put() {
    if cmp -s "files/$1" "$2"; then return 1; fi
    install -D -m "$3" -o "${4:-root}" -g "${4:-root}" "files/$1" "$2"
    changed=$((changed + 1))
}

query() { runuser -u postgres -- psql --no-psqlrc -qtA -v ON_ERROR_STOP=1 "$@"; }

packages="ca-certificates cron curl libatomic1 logrotate nginx node-corepack postgresql"
# shellcheck disable=SC2086
if [ "$(dpkg-query -Wf '${db:Status-Status}\n' $packages 2>/dev/null | grep -cx installed)" != "$(wc -w <<<"$packages")" ]; then
    apt-get -qq update
    apt-get -qq install --yes --no-install-recommends $packages >/dev/null
    changed=$((changed + 1))
fi
if [ -s files/extra-ca.crt ] && put extra-ca.crt /usr/local/share/ca-certificates/shop-extra.crt 0644; then
    update-ca-certificates >/dev/null
fi

getent passwd shop >/dev/null || useradd --system --home-dir /srv/shop/home --shell /usr/sbin/nologin shop
[ -d /srv/shop/app ] || install -d -o shop -g shop /srv/shop /srv/shop/home /srv/shop/app /var/log/shop
restart=0
put environment /srv/shop/environment 0600 shop && restart=1
put ecosystem.config.cjs /srv/shop/ecosystem.config.cjs 0644 && restart=1
if [ "$(cat /opt/shop/versions 2>/dev/null)" != "$versions" ]; then
    # shellcheck disable=SC2086
    sh files/toolchain.sh $versions
    changed=$((changed + 1)) restart=1
fi

put shop.postgresql.conf "/etc/postgresql/$postgresql/main/conf.d/shop.conf" 0644 && systemctl restart postgresql
state=$(query -c "SELECT count(*) FROM pg_roles WHERE rolname = 'shop'" \
    -c "SELECT count(*) FROM pg_database WHERE datname = 'shop'")
if [ "$state" != $'1\n1' ]; then
    query -c "CREATE ROLE shop LOGIN PASSWORD '$password'"
    query -c "CREATE DATABASE shop OWNER shop"
    query -d shop -c "CREATE EXTENSION IF NOT EXISTS pg_stat_statements"
    PGPASSWORD=$password psql -q -h 127.0.0.1 -U shop -f app/db/schema.sql -f files/indexes.sql shop
    changed=$((changed + 1))
fi

if [ "$(cat /srv/shop/app/.built 2>/dev/null)" != "$digest" ]; then
    cp -r app/. /srv/shop/app/
    chown -R shop:shop /srv/shop/app
    runuser -u shop -- sh -s "$digest" <files/build.sh >/dev/null
    changed=$((changed + 1)) restart=1
fi

if put pm2-shop.service /etc/systemd/system/pm2-shop.service 0644; then systemctl daemon-reload; fi
systemctl is-enabled -q pm2-shop || systemctl enable -q pm2-shop
if ! systemctl is-active -q pm2-shop; then
    systemctl start pm2-shop
elif [ "$restart" = 1 ]; then
    systemctl reload pm2-shop
fi

put shop.logrotate /etc/logrotate.d/shop 0644 || true
put shop.cron /etc/cron.d/shop 0644 || true
reload=0
if [ -e /etc/nginx/sites-enabled/default ]; then rm /etc/nginx/sites-enabled/default; reload=1; fi
put shop.nginx.conf /etc/nginx/conf.d/shop.conf 0644 && reload=1
if [ "$reload" = 1 ]; then nginx -t -q && systemctl reload nginx; fi
curl -fsS --retry 30 --retry-all-errors --retry-delay 1 http://127.0.0.1/health >/dev/null
echo "changed=$changed"

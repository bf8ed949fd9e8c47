# Gatehouse in a container. The image brings its own Node, so the production packages are all it installs.
#
#   docker build -t gatehouse .
#   docker run --read-only -p 8080:8080 -v gatehouse-data:/data -v ./gateway.yaml:/etc/gatehouse/gateway.yaml:ro --stop-timeout 20 gatehouse

FROM node:26-slim AS packages
WORKDIR /opt/gatehouse
COPY package.json package-lock.json ./
# Not `npm ci`: the lock file holds the optional binaries of the platform it was made on, and `ci` insists on those of all.
RUN npm install --omit=dev --no-save --no-audit --no-fund --ignore-scripts

FROM node:26-slim
ENV NODE_ENV=production GATEHOUSE_CONFIG=/etc/gatehouse/gateway.yaml
WORKDIR /opt/gatehouse
COPY --from=packages /opt/gatehouse/node_modules ./node_modules
COPY package.json LICENSE ./
COPY src ./src
COPY gateway.yaml /etc/gatehouse/gateway.yaml
# `storage.directory: ./data` is relative to the configuration; the only folder that is written to is the volume.
RUN install -d -o node -g node -m 0700 /data && ln -s /data /etc/gatehouse/data
# Node keeps what it compiled for this user, which halves the time of a start; then the code belongs to root again.
RUN install -d -o node -g node node_modules/.cache \
  && setpriv --reuid=node --regid=node --clear-groups node src/main.ts check --config /etc/gatehouse/gateway.yaml \
  && chown -R root:root node_modules/.cache && chmod -R a+rX node_modules/.cache
USER node
VOLUME /data
# 8080: clients. 9901: operators; it stays on loopback unless the configuration gives it an address and a token.
EXPOSE 8080 9901
# /healthz answers without a token. Of another admin port only this line has to know.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:9901/healthz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Node takes SIGTERM itself, as process 1 too.
CMD ["node", "src/main.ts", "start", "--config", "/etc/gatehouse/gateway.yaml"]

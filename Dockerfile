# Optional packages are left out everywhere: PostgreSQL's binaries (development and tests) and msgpackr's native
# addon, which has an equivalent in JavaScript.

# `node scripts/pin-images.mjs` adds the digest that the tag has now, and renews it; see docs/deploy.md.
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --omit=optional --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY db db
COPY src src
COPY dev dev
COPY examples examples
# What is for development (the embedded PostgreSQL, the demo) is compiled with the rest and stays behind.
RUN npm run build && rm -r dist/.tsbuildinfo dist/dev

FROM ${NODE_IMAGE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json ./
# Nobody compiles against what is in an image: its packages' type declarations are dead weight.
RUN npm ci --omit=dev --omit=optional --no-audit --no-fund \
  && find node_modules -type f -regex '.*\.d\.[cm]?ts\(\.map\)?' -delete

FROM ${NODE_IMAGE}
# docker build --build-arg REVISION="$(git rev-parse HEAD)" .
ARG VERSION=0.2.0
ARG REVISION=unknown
ARG NODE_IMAGE
LABEL org.opencontainers.image.title="uqpay-card-sync" \
  org.opencontainers.image.description="Receives UQPAY card issuing webhooks and keeps the true state of every card in PostgreSQL." \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.revision="${REVISION}" \
  org.opencontainers.image.base.name="${NODE_IMAGE}"
ENV NODE_ENV=production
WORKDIR /app
COPY package.json ./
COPY deploy/healthcheck.mjs deploy/
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist

# The files belong to root and nothing is written beside them: the root file system may be read-only.
USER node
# 3000: the webhook, /healthz, /readyz. 9090: /metrics and /admin, not for the public.
EXPOSE 3000 9090

# /healthz says that the process lives. It does not ask PostgreSQL: a restart does not repair a database.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
  CMD ["node", "deploy/healthcheck.mjs"]

# The exec form: Node is process 1 and gets SIGTERM itself. Source maps make a stack name src/*.ts; measured, they
# cost neither time at the start nor time for each error.
CMD ["node", "--enable-source-maps", "dist/src/main.js"]

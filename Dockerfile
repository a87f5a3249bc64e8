# The image: Debian with the two libraries and the firewall's tool that btblocker needs, and the
# program. Build: docker build -t btblocker .   Run: compose.yml
FROM denoland/deno:debian-2.9.6 AS build
WORKDIR /src
COPY deno.json deno.lock main.ts mod.ts ./
COPY bpf bpf
COPY ffi ffi
COPY scripts scripts
COPY src src
ARG COMMIT=unknown
ARG SOURCE_DATE_EPOCH=0
# Unpacked here, so that the image starts without writing anything.
RUN BTBLOCKER_COMMIT="$COMMIT" deno task portable --level 1 --output /tmp/btblocker \
 && /tmp/btblocker --unpack /usr/lib/btblocker

FROM debian:bookworm-slim
# Versions are those of the Debian release, which only changes them for security.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends iptables libbpf1 libcap2-bin libnetfilter-queue1 \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --system --gid 999 btblocker \
 && useradd --system --uid 999 --gid 999 --no-create-home --shell /usr/sbin/nologin btblocker \
 && install -d -o btblocker -g btblocker -m 0750 /run/btblocker /var/log/btblocker /var/lib/btblocker
COPY --from=build /usr/lib/btblocker /usr/lib/btblocker
# A user's process gets its container's capabilities only through those of the file it starts; without
# them (see compose.yml) the kernel refuses to start it.
RUN setcap cap_net_admin,cap_net_raw,cap_bpf,cap_perfmon+ep /usr/lib/btblocker/deno \
 && setcap cap_net_admin,cap_net_raw+ep /usr/sbin/xtables-nft-multi \
 && setcap cap_net_admin,cap_net_raw+ep /usr/sbin/xtables-legacy-multi \
 && apt-get purge --yes --auto-remove libcap2-bin \
 && ln -s /usr/lib/btblocker/btblocker /usr/bin/btblocker
USER btblocker
ENV XTABLES_LOCKFILE=/run/btblocker/xtables.lock
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["btblocker", "status"]
ENTRYPOINT ["btblocker"]
CMD ["run"]

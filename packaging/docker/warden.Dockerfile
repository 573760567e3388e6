# The warden as an image. Its context is made by `make image-context`: programs and the libraries that they were built with; nothing
# is fetched. The base has to be the Debian release that the programs were built on, or a newer one.
ARG WARDEN_BASE=debian:bookworm-slim
FROM ${WARDEN_BASE}
USER 0
COPY lib/ /usr/lib/clawrden/
COPY sbin/ /usr/sbin/
COPY bin/ /usr/bin/
COPY libexec/ /usr/libexec/clawrden/
RUN { echo /usr/lib/clawrden >/etc/ld.so.conf.d/clawrden.conf && ldconfig && clawrden-warden --version; } || \
    { echo "clawrden: WARDEN_BASE has to be the Debian release that the programs were built on, or a newer one" >&2; exit 1; }
RUN mkdir -p /clawrden/bin /run/clawrden /etc/clawrden /var/lib/clawrden /var/log/clawrden && chmod 700 /var/lib/clawrden /var/log/clawrden
# /healthz needs no login and says only whether the warden serves.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 CMD ["/usr/libexec/clawrden/healthy"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/libexec/clawrden/warden-entry"]

# An agent's image: any base, with the tools that it names locked. Put the agent itself into the base, or COPY it below.
ARG PRISONER_BASE=debian:bookworm-slim
FROM ${PRISONER_BASE}
ARG LOCK_BINARIES="git,npm,curl,rm"
ARG AGENT=agent
USER 0
COPY . /tmp/clawrden/
RUN sh /tmp/clawrden/make-user.sh "$AGENT" && mkdir -p /app && chown "$AGENT" /app && \
    sh /tmp/clawrden/install-clawrden.sh --user "$AGENT" --lock-binaries "$LOCK_BINARIES" && \
    PATH=/clawrden/state/tools:$PATH rm -rf /tmp/clawrden
ENV PATH="/clawrden/bin:${PATH}"
WORKDIR /app
USER ${AGENT}
CMD ["sh", "-c", "while :; do sleep 3600; done"]

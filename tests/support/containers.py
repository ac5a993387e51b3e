"""The same servers from containers, for STACK=docker. Not run here: the machine this was written on has no container
engine."""

from collections.abc import Callable

from testcontainers.core.container import DockerContainer

from deploy.local import postgres
from deploy.local.kafka import wire
from deploy.local.ports import LOOPBACK, Ports
from deploy.local.process import wait_until

POSTGRES_IMAGE = "postgres:18.6"
KAFKA_IMAGE = "apache/kafka:4.3.1"
START_SECONDS = 120.0

Stop = Callable[[], None]


def start_postgres(max_connections: int) -> tuple[str, Stop]:
    """Address and how to end it."""
    with Ports() as ports:
        (port,) = ports.any_free(1)
    options = f"max_connections={max_connections} fsync=off full_page_writes=off max_locks_per_transaction=256 jit=off"
    container = (
        DockerContainer(POSTGRES_IMAGE)
        .with_bind_ports("5432/tcp", port)
        .with_env("POSTGRES_USER", postgres.OWNER)
        .with_env("POSTGRES_DB", postgres.DATABASE)
        .with_env("POSTGRES_HOST_AUTH_METHOD", "trust")
        .with_env(
            "POSTGRES_INITDB_ARGS", "--locale-provider=builtin --builtin-locale=C.UTF-8 --locale=C --encoding=UTF8"
        )
        .with_command(["postgres", *(part for option in options.split() for part in ("-c", option))])
    )
    return f"postgresql://{postgres.OWNER}@{LOOPBACK}:{port}/{postgres.DATABASE}", _started(
        container, lambda: postgres.answers(port)
    )


def start_kafka() -> tuple[str, Stop]:
    """One node. Its advertised port is chosen before it starts, so that clients outside find their way back."""
    with Ports() as ports:
        (port,) = ports.any_free(1)
    settings = {
        "CLUSTER_ID": "4L6g3nShT-eMCtK--X86sw",
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{LOOPBACK}:{port}",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "1",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
    }
    container = DockerContainer(KAFKA_IMAGE).with_bind_ports("9092/tcp", port)
    for name, setting in settings.items():
        container = container.with_env(name, setting)
    return f"{LOOPBACK}:{port}", _started(container, lambda: wire.brokers(LOOPBACK, port) == [1])


def _started(container: DockerContainer, ready: Callable[[], bool]) -> Stop:
    container.start()
    if not wait_until(ready, START_SECONDS):
        container.stop()
        message = f"{container.image} is not ready after {START_SECONDS:.0f} s"
        raise TimeoutError(message)
    return container.stop

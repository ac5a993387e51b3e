"""What the checker sees of topics of which the first records have left."""

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from deploy.verify.world import read_topics
from tests.contract.broker import Broker, numbered

pytestmark = pytest.mark.kafka


async def test_the_checker_knows_which_topics_are_whole(broker: Broker) -> None:
    whole, shortened, emptied = [await broker.topic() for _ in range(3)]
    for topic in (whole, shortened, emptied):
        await broker.write(topic, numbered(3))
    await broker.admin.delete_records({TopicPartition(shortened, 0): RecordsToDelete(before_offset=1)})
    await broker.delete_records(emptied, 1)
    seen, begin_later = await read_topics(broker.bootstrap, topics=(whole, shortened, emptied))
    assert {topic: [record.offset for record in records] for topic, records in seen.items()} == {
        whole: [0, 1, 2],
        shortened: [1, 2],
        emptied: [],
    }
    assert begin_later == {shortened, emptied}

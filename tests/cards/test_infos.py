"""The header describes columns as `datasets` would; what people changed of it is read by `datasets` itself."""

import pyarrow as pa
import pytest
from datasets import DatasetInfo, Features, SplitDict, SplitInfo
from datasets.info import DatasetInfosDict
from huggingface_hub import DatasetCardData

from stepforge.builders.configs import CONFIGS
from stepforge.builders.release import ReleaseError
from stepforge.cards.dataset_card import validate
from stepforge.cards.edits import Card
from stepforge.cards.infos import Split, info

STRANGE = pa.schema([("day", pa.date32()), ("text", pa.large_string()), ("texts", pa.large_list(pa.string()))])
NESTED = pa.schema([("a", pa.list_(pa.list_(pa.int32()))), ("b", pa.struct([("c", pa.list_(pa.float32()))])),
                    ("d", pa.list_(pa.list_(pa.struct([("e", pa.bool_())]))))])


@pytest.mark.parametrize("schema", [*(config.schema for config in CONFIGS.values()), STRANGE, NESTED],
                         ids=[*CONFIGS, "strange", "nested"])
def test_a_config_is_described_as_datasets_describes_it(schema: pa.Schema) -> None:
    splits = SplitDict()
    for split in (SplitInfo("train", num_bytes=70, num_examples=4), SplitInfo("test", num_bytes=30, num_examples=2)):
        splits.add(split)
    theirs = DatasetInfo(features=Features.from_arrow_schema(schema), splits=splits, download_size=9, dataset_size=100)
    data = DatasetCardData()
    DatasetInfosDict(pears=theirs).to_dataset_card_data(data)
    ours = info("pears", schema, [Split("train", 70, 4), Split("test", 30, 2)], 9)
    assert ours == data["dataset_info"] and list(ours) == list(data["dataset_info"])


PLAIN = Card({"configs": [{"config_name": "pears", "data_files": "pears.parquet"}],
              "dataset_info": [info("pears", pa.schema([("n", pa.int64())]), [], 9)]}, "# pears", "")


def with_info(**entry: object) -> Card:
    return PLAIN._replace(header=PLAIN.header | {"dataset_info": [PLAIN.header["dataset_info"][0] | entry]})


def test_what_people_wrote_of_a_config_must_be_readable() -> None:
    for card in (PLAIN, with_info(dataset_name="of people")):
        validate(card.text(), PLAIN)
    with pytest.raises(ReleaseError, match="header of the card is not valid"):
        validate(with_info(features=[{"name": "n", "dtype": "no_such_type"}]).text(), PLAIN)


def test_a_described_config_must_be_named() -> None:
    unnamed = PLAIN._replace(header=PLAIN.header | {"configs": []})
    for card, plain in ((with_info(config_name="plums"), PLAIN), (unnamed, PLAIN)):
        with pytest.raises(ReleaseError, match="but names"):
            validate(card.text(), plain)

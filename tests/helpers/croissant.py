"""A Croissant description of a release, shaped as the Hub writes it from a card's header.

In: the header of a card. Out: JSON-LD with a file set and two record sets for each config: its splits, and its rows
with a field for each column. The Hub reads files from a repository; here they lie beside the description.
"""

from typing import Any

from datasets import Features, LargeList, List

CONTEXT = {
    "@language": "en", "@vocab": "https://schema.org/", "sc": "https://schema.org/", "cr":
    "http://mlcommons.org/croissant/", "dct": "http://purl.org/dc/terms/", "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs", "column": "cr:column", "conformsTo": "dct:conformsTo", "data": {"@id": "cr:data", "@type":
    "@json"}, "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "examples": {"@id": "cr:examples", "@type":
    "@json"}, "extract": "cr:extract", "field": "cr:field", "fileObject": "cr:fileObject", "fileProperty":
    "cr:fileProperty", "fileSet": "cr:fileSet", "format": "cr:format", "includes": "cr:includes", "isArray":
    "cr:isArray", "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath", "key": "cr:key", "md5": "cr:md5",
    "parentField": "cr:parentField", "path": "cr:path", "recordSet": "cr:recordSet", "references": "cr:references",
    "regex": "cr:regex", "repeated": "cr:repeated", "replace": "cr:replace", "samplingRate": "cr:samplingRate",
    "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField", "transform": "cr:transform",
}
KINDS = {"string": "sc:Text", "bool": "sc:Boolean", "int32": "cr:Int32", "int64": "cr:Int64", "float64": "cr:Float64"}


def describe(header: dict[str, Any]) -> dict[str, Any]:
    """The description of the release whose card has this header."""
    infos = {info["config_name"]: info for info in header["dataset_info"]}
    return {
        "@context": CONTEXT, "@type": "sc:Dataset", "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": "release", "description": header["pretty_name"], "license": header.get("license"),
        "url": "https://example.org/datasets/release", "version": "1.0.0",
        "distribution": [{"@type": "cr:FileSet", "@id": f"files-of-{name}", "encodingFormat": "application/x-parquet",
                          "includes": f"{name}/*.parquet"} for name in infos],
        "recordSet": [part for name, info in infos.items() for part in (_splits(name, info), _rows(name, info))],
    }


def _splits(name: str, info: dict[str, Any]) -> dict[str, Any]:
    field = f"{name}_splits/split_name"
    return {"@type": "cr:RecordSet", "@id": f"{name}_splits", "dataType": "cr:Split", "key": {"@id": field},
            "field": [{"@type": "cr:Field", "@id": field, "dataType": "sc:Text"}],
            "data": [{field: split["name"]} for split in info["splits"]]}


def _rows(name: str, info: dict[str, Any]) -> dict[str, Any]:
    files = {"fileSet": {"@id": f"files-of-{name}"}}
    split = {"@type": "cr:Field", "@id": f"{name}/split", "dataType": "sc:Text",
             "references": {"field": {"@id": f"{name}_splits/split_name"}},
             "source": files | {"extract": {"fileProperty": "fullpath"},
                                "transform": {"regex": f"{name}/(train|validation|test)-.+parquet$"}}}
    columns = [_field(f"{name}/{column}", feature) | {"source": files | {"extract": {"column": column}}}
               for column, feature in Features._from_yaml_list(info["features"]).items()]
    return {"@type": "cr:RecordSet", "@id": name, "field": [split, *columns]}


def _field(place: str, feature: Any) -> dict[str, Any]:
    dimensions = 0
    while isinstance(feature, List | LargeList):
        feature, dimensions = feature.feature, dimensions + 1
    shape = {"isArray": True, "arrayShape": ",".join(["-1"] * dimensions)} if dimensions else {}
    if isinstance(feature, dict):
        return {"@type": "cr:Field", "@id": place, **shape,
                "subField": [_field(f"{place}/{name}", inner) for name, inner in feature.items()]}
    return {"@type": "cr:Field", "@id": place, "dataType": KINDS[feature.dtype], **shape}

"""
The components of Template Builder.

They are those with a page in its documentation, and those that are only in the source that Toloka has published
(github.com/Toloka/template-builder, ``components/``), as some of these have names that are near to others.
"""

from __future__ import annotations

COMPONENTS = frozenset(
    f"{category}.{name}"
    for category, names in {
        "action": "bulk list-push list-remove notify open-close open-link play-pause rotate set set-current-time "
        "set-duration set-media-status set-volume toggle zoom-in-out",
        "condition": "all any contains distance empty equals less link-opened more not played played-fully required "
        "same-domain schema sub-array",
        "data": "input output internal local relative location assignment-id",
        "field": "audio bounding-box button-checkbox button-radio button-radio-group checkbox checkbox-group date "
        "email file image-annotation list map media-file multi-select number phone-number quiz radio-group select text "
        "text-annotation textarea tumbler",
        "helper": "concat-arrays entries2object if join length multiply object2entries proxy replace search-query sum "
        "switch text-transform transform translate",
        "layout": "bars columns compare side-by-side sidebar",
        "plugin": "field.image-annotation.hotkeys field.text-annotation.hotkeys hotkeys toloka trigger",
        "view": "action-button alert audio collapse debug device-frame divider group hint iframe image json "
        "labeled-list link link-group list map markdown table text video with-label",
    }.items()
    for name in names.split()
)

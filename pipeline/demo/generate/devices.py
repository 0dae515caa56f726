"""Fixed parts of `context`, encoded once: what SDKs report about devices, pages and themselves."""

from __future__ import annotations

from typing import Any, Final

import msgspec


def _encoded(value: dict[str, Any]) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode(value))


ANALYTICS_JS: Final = _encoded({"name": "analytics.js", "version": "npm:next-1.81.0"})
IOS: Final = _encoded({"name": "analytics-ios", "version": "4.1.8"})
ANDROID: Final = _encoded({"name": "analytics-android", "version": "4.11.3"})
PYTHON: Final = _encoded({"name": "analytics-python", "version": "2.3.4"})
NODE: Final = _encoded({"name": "@segment/analytics-node", "version": "2.2.1"})
PHP: Final = _encoded({"name": "analytics-php", "version": "3.8.1", "consumer": "LibCurl"})
INTILERY: Final = _encoded({"name": "intilery.js", "version": "1.9.0"})
NODE_METADATA: Final = _encoded({"nodeVersion": "22.12.0", "jsRuntime": "node"})

ALL_BUT_ONE: Final = {"All": True, "Mixpanel": False}
CAMPAIGN: Final = _encoded(
    {"name": "TPS Innovation Newsletter", "source": "Newsletter", "medium": "email"}
)
USER_AGENT: Final = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36"
)

NETWORKS: Final = tuple(
    _encoded({"bluetooth": False, "carrier": carrier, "cellular": not wifi, "wifi": wifi})
    for carrier in ("T-Mobile US", "Vodafone", "NTT ドコモ")
    for wifi in (True, False)
)

_CHROME = msgspec.Raw(
    msgspec.json.encode(
        {
            "brands": [
                {"brand": "Google Chrome", "version": "131"},
                {"brand": "Chromium", "version": "131"},
            ],
            "mobile": False,
            "platform": "macOS",
        }
    )
)
BROWSERS: Final[tuple[dict[str, Any], ...]] = (
    {"userAgent": USER_AGENT, "userAgentData": _CHROME},
    {
        "userAgent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 "
        "(KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0"
    },
    {
        "userAgent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 "
        "(KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"
    },
    {"userAgent": "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"},
)

_TITLES: Final = {
    "/": "Shop: good things, well made",
    "/products": "All products",
    "/products/kitchen": "Kitchen | Shop",
    "/products/outdoor": "Outdoor | Shop",
    "/cart": "Your cart",
    "/checkout": "Checkout",
    "/academy/": "Analytics Academy",
    "/über-uns": "Über uns",
}
_REFERRERS: Final = ("", "https://www.search.example/", "https://shop.example/")


def _page(path: str, title: str, referrer: str) -> msgspec.Raw:
    return _encoded(
        {
            "path": path,
            "referrer": referrer,
            "search": "",
            "title": title,
            "url": f"https://shop.example{path}",
        }
    )


PAGES: Final = tuple(
    _page(path, title, referrer) for path, title in _TITLES.items() for referrer in _REFERRERS
)


def _phone(system: tuple[str, str], maker: str, model: str, width: int) -> dict[str, Any]:
    name, version = system
    return {
        "app": _encoded({"name": "Shop", "version": "4.12.0", "build": "41200"}),
        "device": _encoded(
            {
                "manufacturer": maker,
                "model": model,
                "name": "phone",
                "type": name.lower(),
            }
        ),
        "os": _encoded({"name": name, "version": version}),
        "screen": _encoded({"density": 3, "height": width * 2, "width": width}),
    }


IPHONES: Final = tuple(
    _phone(("iOS", version), "Apple", model, 390)
    for model, version in (("iPhone15,2", "18.1.1"), ("iPhone14,5", "17.6"), ("iPhone12,1", "16.7"))
)
ANDROIDS: Final = tuple(
    _phone(("Android", version), maker, model, 412)
    for maker, model, version in (
        ("Google", "Pixel 8", "15"),
        ("Samsung", "SM-S918B", "14"),
        ("Xiaomi", "2201116SG", "13"),
    )
)

"""The products that are sold: a small catalogue, each product encoded once."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from pipeline.demo.generate.dice import Dice

_TABLE: Final = (
    ("Monopoly: 3rd Edition", "Games", "Hasbro", "200 pieces", 1999),
    ("Uno Card Game", "Games", "Mattel", "classic", 799),
    ("Chess Set, walnut", "Games", "Holzmann", "40 cm", 6450),
    ("Crème brûlée torch", "Kitchen", "Flambée", "black", 2995),
    ("抹茶 whisk", "Kitchen", "Kyoto Tea", "80 prongs", 1480),
    ("Cast iron pan", "Kitchen", "Eisenfaß", "28 cm", 5900),
    ("Moka pot", "Kitchen", "Bialetti", "6 cups", 3499),
    ("Merino base layer", "Outdoor", "Fjällräv", "M, navy", 8900),
    ("Trail running shoes", "Outdoor", "Altezza", "EU 42", 12995),
    ("Two-person tent", "Outdoor", "Fjällräv", "green", 24900),
    ("Head torch", "Outdoor", "Lumen", "350 lm", 3450),
    ("Noise-cancelling headphones", "Electronics", "Sonora", "graphite", 27999),
    ("USB-C charger 65 W", "Electronics", "Volta", "EU plug", 3999),
    ("Mechanical keyboard", "Electronics", "Clack", "ISO, brown", 10900),
    ('27" monitor', "Electronics", "Panorama", "QHD", 32900),
    ("E-reader", "Electronics", "Folio", "8 GB", 11999),
    ("Linen shirt", "Clothing", "Atelier Nº 5", "L, white", 5495),
    ("Wool scarf", "Clothing", "Atelier Nº 5", "red", 3900),
    ("Rain jacket", "Clothing", "Nordwind", "S, yellow", 11900),
    ("Gift card", "Gifts", "Shop", "email", 2500),
    ("Fountain pen", "Stationery", "Plume", "F nib", 4850),
    ("Dotted notebook A5", "Stationery", "Plume", "blue", 1695),
    ("Office chair", "Furniture", "Sitzgut", "grey", 39900),
    ("Desk lamp", "Furniture", "Lumen", "brass", 7450),
)
"""Name, category, brand, variant and price in hundredths of each product."""

MOST_OF_ONE: Final = 3


class Product(NamedTuple):
    """One product, with its price in hundredths of a currency unit, or in yen, which has none."""

    price: int
    shown: tuple[dict[str, Any], dict[str, Any]]
    """Properties of the product; the second one has a price in a currency without decimals."""
    lines: tuple[tuple[msgspec.Raw, ...], tuple[msgspec.Raw, ...]]
    """The properties, encoded, for a quantity of 1 to MOST_OF_ONE."""


class Cart(NamedTuple):
    """The products of an order, and their total."""

    total: int
    """Total in hundredths of a currency unit, or in yen."""
    lines: list[msgspec.Raw]


def amount(hundredths: int, *, whole: bool) -> float | int:
    """Convert a price to a number as most JSON writers print it: 19.99, but 25 for 25.00."""
    if whole:
        return hundredths
    units, rest = divmod(hundredths, 100)
    return hundredths / 100 if rest else units


def _product(number: int, row: tuple[str, str, str, str, int]) -> Product:
    name, category, brand, variant, price = row
    sku = f"{category[:2].upper()}-{price:05d}-{number}"
    plain: dict[str, Any] = {
        "product_id": f"507f1f77bcf86cd79943{number:04d}",
        "sku": sku,
        "name": name,
        "category": category,
        "brand": brand,
        "variant": variant,
        "url": f"https://shop.example/products/{sku.lower()}",
    }
    decimal, whole = ({**plain, "price": amount(price, whole=w)} for w in (False, True))
    return Product(price, (decimal, whole), (_lines(decimal), _lines(whole)))


def _lines(shown: dict[str, Any]) -> tuple[msgspec.Raw, ...]:
    left_out = {"url", "variant"}
    base = {name: value for name, value in shown.items() if name not in left_out}
    return tuple(
        msgspec.Raw(msgspec.json.encode({**base, "quantity": quantity}))
        for quantity in range(1, MOST_OF_ONE + 1)
    )


PRODUCTS: Final = tuple(_product(number, row) for number, row in enumerate(_TABLE))
CATEGORIES: Final = tuple(dict.fromkeys(row[1] for row in _TABLE))


def cart(dice: Dice, most: int, *, whole: bool) -> Cart:
    """Draw a cart of one to `most` lines, mostly few."""
    lines, total = [], 0
    for _ in range(1 + dice.below(1 + dice.below(most))):
        product, quantity = dice.pick(PRODUCTS), 1 + dice.below(MOST_OF_ONE)
        lines.append(product.lines[whole][quantity - 1])
        total += product.price * quantity
    return Cart(total, lines)

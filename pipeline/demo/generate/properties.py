"""The properties of each event, as Segment's semantic events specify them."""

from __future__ import annotations

from typing import Final

from pipeline.core.json_value import JsonObject
from pipeline.demo.generate.dice import Dice
from pipeline.demo.generate.people import User
from pipeline.demo.generate.products import CATEGORIES, PRODUCTS, amount, cart

_PAYMENTS: Final = ("card", "card", "paypal", "invoice", "apple_pay")
_SHIPPING: Final = ("standard", "standard", "express", "pick-up")
_COUPONS: Final = ("SUMMER10", "WELCOME", "FREESHIP")
_QUERIES: Final = ("chess", "tent 2 person", "crème brûlée", "抹茶", "gift < 30 €", '27" monitor')
_WITHOUT_DECIMALS: Final = "JPY"

_NO_CURRENCY, _LOWER_CURRENCY, _BLANK_CURRENCY = 0.15, 0.18, 0.19
_PLAIN_TEXT, _DOLLAR_TEXT, _FLOAT_NOISE = 0.08, 0.09, 0.14
"""Cumulative shares of the ways in which clients write money other than as 19.99 and USD."""


def _whole(user: User) -> bool:
    return user.home.currency == _WITHOUT_DECIMALS


def _money(dice: Dice, user: User, hundredths: int) -> JsonObject:
    """Make `revenue` and mostly `currency`, as different programs write them."""
    style, total = dice.random(), amount(hundredths, whole=_whole(user))
    revenue: float | str = total
    if style < _PLAIN_TEXT:
        revenue = str(total) if type(total) is int else f"{total:.2f}"
    elif style < _DOLLAR_TEXT and user.home.currency == "USD":
        revenue = f"${total:.2f}"
    elif style < _FLOAT_NOISE:
        revenue = total * 1.1 / 1.1  # tax added and taken off again, in binary floats
    style, currency = dice.random(), user.home.currency
    if style < _NO_CURRENCY:
        return {"revenue": revenue}
    if style < _LOWER_CURRENCY:
        currency = currency.lower()
    elif style < _BLANK_CURRENCY:
        currency = ""
    return {"revenue": revenue, "currency": currency}


def _hex_id(dice: Dice) -> str:
    return f"{dice.below(1 << 48):012x}"


def _order_id(dice: Dice) -> str:
    return f"50314b8e{dice.below(1 << 32):08x}"


def nothing(_dice: Dice, _user: User) -> JsonObject:
    """Make no properties."""
    return {}


def search(dice: Dice, _user: User) -> JsonObject:
    """Make the properties of a search."""
    return {"query": dice.pick(_QUERIES), "results": dice.below(40)}


def product_list(dice: Dice, user: User) -> JsonObject:
    """Make the properties of a product list."""
    return {
        "list_id": f"list_{dice.below(50)}",
        "category": dice.pick(CATEGORIES),
        "products": cart(dice, 4, whole=_whole(user)).lines,
    }


def filtered_list(dice: Dice, user: User) -> JsonObject:
    """Make the properties of a product list that is filtered and sorted."""
    return {
        **product_list(dice, user),
        "filters": [{"type": "price", "value": "under-50"}, {"type": "stock", "value": "yes"}],
        "sorts": [{"type": "price", "value": dice.pick(("asc", "desc"))}],
    }


def promotion(dice: Dice, _user: User) -> JsonObject:
    """Make the properties of a promotion."""
    number = dice.below(20)
    return {
        "promotion_id": f"promo_{number}",
        "creative": f"top_banner_{number % 3 + 1}",
        "name": "75% store-wide shoe sale",
        "position": "home_banner_top",
    }


def product(dice: Dice, user: User) -> JsonObject:
    """Make the properties of a product that is viewed."""
    properties = dict(dice.pick(PRODUCTS).shown[_whole(user)])
    properties["position"] = 1 + dice.below(24)
    extra = dice.random()
    if extra < 0.3:  # noqa: PLR2004  a share
        properties["currency"] = user.home.currency
        properties["value"] = properties["price"]
    elif extra < 0.31:  # noqa: PLR2004
        properties["currency"] = "€"  # a sign for a code: harmless without revenue
    return properties


def cart_product(dice: Dice, user: User) -> JsonObject:
    """Make the properties of a product that is added to or removed from a cart."""
    return {
        "cart_id": f"cart_{_hex_id(dice)}",
        **dice.pick(PRODUCTS).shown[_whole(user)],
        "quantity": 1 + dice.below(3),
    }


def whole_cart(dice: Dice, user: User) -> JsonObject:
    """Make the properties of a whole cart."""
    lines = cart(dice, 5, whole=_whole(user)).lines
    return {"cart_id": f"cart_{_hex_id(dice)}", "products": lines}


def order(dice: Dice, user: User) -> JsonObject:
    """Make the properties of an order, with its amounts and products."""
    whole = _whole(user)
    bought = cart(dice, 5, whole=whole)
    shipping = dice.pick((0, 0, 495, 990))
    properties: JsonObject = {
        "checkout_id": _hex_id(dice),
        "order_id": _order_id(dice),
        "affiliation": "Online Store",
        "total": amount(bought.total + shipping, whole=whole),
        **_money(dice, user, bought.total),
        "shipping": amount(shipping, whole=whole),
        "tax": amount(bought.total * 19 // 119, whole=whole),
    }
    if dice.random() < 0.2:  # noqa: PLR2004
        properties["coupon"] = dice.pick(_COUPONS)
        properties["discount"] = amount(bought.total // 10, whole=whole)
    properties["products"] = bought.lines
    return properties


def refund(dice: Dice, user: User) -> JsonObject:
    """Make the properties of a refund, which has a negative revenue."""
    properties = {"order_id": _order_id(dice), **_money(dice, user, dice.pick(PRODUCTS).price)}
    if not isinstance(properties["revenue"], str):
        properties["revenue"] = -properties["revenue"]
    return properties


def checkout_step(dice: Dice, _user: User) -> JsonObject:
    """Make the properties of a checkout step."""
    return {
        "checkout_id": _hex_id(dice),
        "step": 1 + dice.below(4),
        "shipping_method": dice.pick(_SHIPPING),
        "payment_method": dice.pick(_PAYMENTS),
    }


def coupon(dice: Dice, user: User) -> JsonObject:
    """Make the properties of a coupon, with its discount."""
    return {
        "order_id": _order_id(dice),
        "cart_id": f"cart_{_hex_id(dice)}",
        "coupon_id": dice.pick(_COUPONS),
        "discount": amount(dice.below(4000), whole=_whole(user)),
    }


def review(dice: Dice, _user: User) -> JsonObject:
    """Make the properties of a product review."""
    return {
        "product_id": dice.pick(PRODUCTS).shown[0]["product_id"],
        "review_id": _hex_id(dice),
        "review_body": 'Exactly as described.\nMy daughter says: "great" 👍',
        "rating": dice.pick(("5", "4", "3", "1")),
    }


def account(dice: Dice, user: User) -> JsonObject:
    """Make the properties of a company's account, with its plan."""
    plan = user.traits["plan"]
    return {"account_name": "Initech", "plan": plan, "accountType": dice.pick(("Email", "Google"))}


def signed_up(dice: Dice, user: User) -> JsonObject:
    """Make the properties of a sign-up, which has an abstract value."""
    traits = user.traits
    return {
        "type": dice.pick(("organic", "invited")),
        "first_name": traits["firstName"],
        "last_name": traits["lastName"],
        "email": traits["email"],
        "username": traits["username"],
        "value": 10,
    }


def signed_in(_dice: Dice, user: User) -> JsonObject:
    """Make the properties of a sign-in."""
    return {"username": user.traits["username"]}


def invite(dice: Dice, _user: User) -> JsonObject:
    """Make the properties of an invitation."""
    return {"invitee_email": f"guest{dice.below(9999)}@mail.example", "invitee_role": "Owner"}


def trial(_dice: Dice, _user: User) -> JsonObject:
    """Make the properties of a trial, with its end."""
    return {
        "trial_start_date": "2025-01-01T00:00:00.000Z",
        "trial_end_date": "2025-01-15",
        "trial_plan_name": "Business",
    }


def subscription(dice: Dice, user: User) -> JsonObject:
    """Make the properties of a recurring payment."""
    price = dice.pick((900, 2900, 29000))
    return {"plan": user.traits["plan"], "seats": 1 + dice.below(30), **_money(dice, user, price)}


def application(dice: Dice, _user: User) -> JsonObject:
    """Make the properties of an app that is opened."""
    return {
        "from_background": dice.random() < 0.6,  # noqa: PLR2004
        "referring_application": "GMail",
        "url": "shop://home",
        "version": "4.12.0",
        "build": "41200",
    }


def push(_dice: Dice, _user: User) -> JsonObject:
    """Make the properties of a push notification, with its campaign."""
    campaign = {"medium": "Push", "source": "Vendor Name", "name": "Referral Flow", "content": "👋"}
    return {"action": "Accept", "campaign": campaign}


def email(dice: Dice, _user: User) -> JsonObject:
    """Make the properties of an e-mail of a campaign."""
    return {
        "email_id": _hex_id(dice),
        "email_subject": "Your order is on its way",
        "campaign_id": f"cam_{dice.below(30)}",
        "campaign_name": "Transactional",
    }


def experiment(dice: Dice, _user: User) -> JsonObject:
    """Make the properties of an experiment, with the variation that was shown."""
    variation = dice.below(3)
    return {
        "experiment_id": "1234",
        "experiment_name": "home_cta_position",
        "variation_id": f"Bcd{variation}",
        "variation_name": f"position {variation}",
    }


def video(dice: Dice, _user: User) -> JsonObject:
    """Make the properties of a video."""
    return {
        "session_id": _hex_id(dice),
        "asset_id": f"asset_{dice.below(200)}",
        "title": "Interview with the maker",
        "keywords": ["craft", "日本"],
        "position": dice.below(600) / 4,
        "total_length": 392,
        "bitrate": 5120,
        "livestream": False,
    }


def button(dice: Dice, _user: User) -> JsonObject:
    """Make the properties of a button."""
    return {"title": dice.pick(("Intro to Analytics", "Get started", "Compare plans", "Subscribe"))}

"""What users do: event names, mostly Segment's semantic events, and how often each is sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pipeline.core.json_value import JsonObject
from pipeline.demo.generate import properties
from pipeline.demo.generate.dice import Dice, weighted
from pipeline.demo.generate.people import User

MakeProperties = Callable[[Dice, User], JsonObject]

_TABLE: Final[tuple[tuple[str, MakeProperties, int, int, int], ...]] = (
    ("Product Viewed", properties.product, 22, 20, 0),
    ("Product List Viewed", properties.product_list, 14, 12, 0),
    ("Products Searched", properties.search, 8, 8, 0),
    ("Product List Filtered", properties.filtered_list, 4, 3, 0),
    ("Product Clicked", properties.product, 10, 8, 0),
    ("Product Added", properties.cart_product, 8, 8, 4),
    ("Product Removed", properties.cart_product, 2, 2, 1),
    ("Product Added to Wishlist", properties.cart_product, 1, 2, 0),
    ("Product Reviewed", properties.review, 1, 1, 1),
    ("Cart Viewed", properties.whole_cart, 5, 5, 0),
    ("Checkout Started", properties.order, 4, 4, 8),
    ("Checkout Step Viewed", properties.checkout_step, 4, 3, 0),
    ("Checkout Step Completed", properties.checkout_step, 3, 3, 0),
    ("Payment Info Entered", properties.checkout_step, 2, 2, 0),
    ("Coupon Applied", properties.coupon, 1, 1, 1),
    ("Order Completed", properties.order, 3, 4, 24),
    ("Order Updated", properties.order, 0, 0, 6),
    ("Order Refunded", properties.refund, 0, 0, 5),
    ("Order Cancelled", properties.order, 0, 0, 3),
    ("Promotion Viewed", properties.promotion, 5, 3, 0),
    ("Promotion Clicked", properties.promotion, 1, 1, 0),
    ("Account Created", properties.account, 1, 1, 4),
    ("Signed Up", properties.signed_up, 2, 1, 4),
    ("Signed In", properties.signed_in, 4, 2, 6),
    ("Signed Out", properties.nothing, 1, 1, 2),
    ("Invite Sent", properties.invite, 1, 0, 3),
    ("Trial Started", properties.trial, 0, 0, 3),
    ("Subscription Renewed", properties.subscription, 0, 0, 8),
    ("Application Opened", properties.application, 0, 12, 0),
    ("Push Notification Tapped", properties.push, 0, 4, 0),
    ("Email Opened", properties.email, 0, 0, 10),
    ("Experiment Viewed", properties.experiment, 3, 2, 0),
    ("Video Content Started", properties.video, 2, 1, 0),
    ("Button Clicked", properties.button, 6, 4, 0),
)
"""Name, properties, and how often browsers, apps and servers send it."""

EVENT_NAMES: Final = tuple(row[0] for row in _TABLE)
BROWSER_EVENTS: Final = weighted(((row[0], row[1]), row[2]) for row in _TABLE)
APP_EVENTS: Final = weighted(((row[0], row[1]), row[3]) for row in _TABLE)
SERVER_EVENTS: Final = weighted(((row[0], row[1]), row[4]) for row in _TABLE)

//! What machines of a class cost.

use std::fmt;
use std::time::Duration;

use kit::go_duration;

use super::bid::Bid;
use crate::client::ServerClass;

/// Prices per hour and machine, as far as they are known. They come from the API's own objects; the public price feed is
/// not asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prices {
    /// The lowest bid that is taken.
    pub minimum: Option<Bid>,
    /// What machines went for in the last auction.
    pub market: Option<Bid>,
    /// What a machine costs that is bought and not bid for.
    pub on_demand: Option<Bid>,
}

/// A bid above this many times the on-demand price is a slip of the finger: nobody bids to pay more than that.
const ABOVE_ON_DEMAND: u64 = 10;
/// The same, of the market price and the minimum bid, for a class without an on-demand price.
const ABOVE_MARKET: u64 = 100;

impl Prices {
    /// The prices of a class.
    pub fn of(class: &ServerClass) -> Self {
        let on_demand = &class.spec.on_demand_pricing;
        let interval = go_duration::parse(&on_demand.interval).unwrap_or(Duration::from_hours(1));
        Self {
            minimum: Bid::price(&class.spec.min_bid_price_per_hour),
            market: Bid::price(&class.status.spot_pricing.market_price_per_hour),
            on_demand: Bid::price(&on_demand.cost).map(|cost| cost.per_hour(interval)),
        }
    }

    /// The lowest valid bid that wins at the prices of the last auction.
    pub fn winning(&self) -> Option<Bid> {
        self.market.max(self.minimum).map(Bid::round_up)
    }

    /// The highest bid that is believed to be meant, and what it is derived from. `None` where no price is known.
    pub fn ceiling(&self) -> Option<(Bid, String)> {
        if let Some(price) = self.on_demand.filter(|price| *price > Bid::ZERO) {
            let why = format!("{ABOVE_ON_DEMAND} times the on-demand price of {price}");
            return Some((price.times(ABOVE_ON_DEMAND), why));
        }
        let price = self.market.max(self.minimum).filter(|price| *price > Bid::ZERO)?;
        Some((
            price.times(ABOVE_MARKET),
            format!("{ABOVE_MARKET} times the market price of {price}"),
        ))
    }
}

impl fmt::Display for Prices {
    /// `market 0.005, minimum bid 0.01, on demand 0.06`; what is not known is left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = [
            ("market", self.market),
            ("minimum bid", self.minimum),
            ("on demand", self.on_demand),
        ];
        let known = known.iter().filter_map(|(what, price)| Some((what, price.as_ref()?)));
        for (index, (what, price)) in known.enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{what} {price}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(minimum: &str, market: &str, cost: &str, interval: &str) -> Prices {
        let class = serde_json::json!({
            "spec": {"minBidPricePerHour": minimum, "onDemandPricing": {"cost": cost, "interval": interval}},
            "status": {"spotPricing": {"marketPricePerHour": market}},
        });
        Prices::of(&serde_json::from_value(class).unwrap())
    }

    #[test]
    fn prices_are_those_of_an_hour() {
        for (cost, interval, hour) in [
            ("0.06", "1h", "0.06"),
            ("$0.06", "1h0m0s", "0.06"),
            ("1.44", "24h", "0.06"),
            ("0.001", "1m", "0.06"),
            ("0.06", "", "0.06"),
            ("0.06", "0s", "0.06"),
        ] {
            let prices = class("0.01", "0.005000", cost, interval);
            assert_eq!(
                prices.to_string(),
                format!("market 0.005, minimum bid 0.01, on demand {hour}"),
                "{cost} {interval}"
            );
        }
        assert_eq!(class("", "", "", "").to_string(), "");
    }

    #[test]
    fn the_ceiling_follows_the_on_demand_price_or_else_the_market() {
        let ceiling = |prices: Prices| prices.ceiling().map(|(bid, _)| bid.to_string());
        assert_eq!(ceiling(class("0.01", "0.005", "0.06", "1h")).as_deref(), Some("0.60"));
        assert_eq!(ceiling(class("0.01", "0.005", "", "")).as_deref(), Some("1.00"));
        assert_eq!(ceiling(class("0.01", "0.02", "0", "1h")).as_deref(), Some("2.00"));
        assert_eq!(ceiling(Prices::default()), None);
    }
}

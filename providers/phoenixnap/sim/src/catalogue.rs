//! What is for sale, and where.

use serde_json::{Value, json};

/// All locations.
pub(crate) const LOCATIONS: [&str; 7] = ["ASH", "AUS", "CHI", "NLD", "PHX", "SEA", "SGP"];

/// A type of server.
pub(crate) struct Product {
    pub(crate) code: &'static str,
    pub(crate) cpu: &'static str,
    pub(crate) sockets: u32,
    pub(crate) cores: u32,
    pub(crate) ghz: f64,
    pub(crate) ram: u32,
    pub(crate) storage: &'static str,
    /// Dollars an hour.
    pub(crate) price: f64,
}

/// All types of servers.
pub(crate) const PRODUCTS: [Product; 4] = [
    product("s1.c1.small", "E-2276G", 1, 6, 3.8, 32, "1x 960GB NVMe", 0.15),
    product("s1.c1.medium", "E-2276G", 1, 6, 3.8, 64, "1x 960GB NVMe", 0.2),
    product("d1.c1.small", "Dual Silver 4208", 2, 8, 2.1, 64, "1x 2TB NVMe", 0.4),
    product("d2.c4.medium", "Dual Gold 6258R", 2, 28, 2.7, 256, "2x 2TB NVMe", 1.6),
];

#[allow(clippy::too_many_arguments, reason = "one row of a table")]
const fn product(
    code: &'static str,
    cpu: &'static str,
    sockets: u32,
    cores: u32,
    ghz: f64,
    ram: u32,
    storage: &'static str,
    price: f64,
) -> Product {
    Product {
        code,
        cpu,
        sockets,
        cores,
        ghz,
        ram,
        storage,
        price,
    }
}

/// The type of this name; the first one for a name there is not, as in states made by hand.
pub(crate) fn find(code: &str) -> &'static Product {
    PRODUCTS
        .iter()
        .find(|product| product.code == code)
        .unwrap_or(&PRODUCTS[0])
}

pub(crate) fn is_known(code: &str) -> bool {
    PRODUCTS.iter().any(|product| product.code == code)
}

/// Which products a caller asks for: every parameter that is given must fit.
#[derive(Debug, Default)]
pub(crate) struct Wanted<'a> {
    pub(crate) code: Option<&'a str>,
    pub(crate) category: Option<&'a str>,
    pub(crate) location: Option<&'a str>,
}

impl Wanted<'_> {
    fn servers(&self) -> impl Iterator<Item = &'static Product> {
        let fits = self.category.is_none_or(|category| category == "SERVER");
        let code = self.code;
        PRODUCTS
            .iter()
            .filter(move |product| fits && code.is_none_or(|code| code == product.code))
    }

    fn locations(&self) -> impl Iterator<Item = &'static str> {
        LOCATIONS
            .into_iter()
            .filter(|location| self.location.is_none_or(|wanted| wanted == *location))
    }

    pub(crate) fn products(&self) -> Value {
        let products = self.servers().map(|product| {
            let plans: Vec<Value> = self
                .locations()
                .map(|location| {
                    json!({
                        "sku": format!("SIM-{}-{location}", product.code), "skuDescription": product.code,
                        "location": location, "pricingModel": "HOURLY", "price": product.price, "priceUnit": "HOUR",
                    })
                })
                .collect();
            json!({
                "productCode": product.code, "productCategory": "SERVER", "plans": plans,
                "metadata": {
                    "ramInGb": product.ram, "cpu": product.cpu, "cpuCount": product.sockets,
                    "coresPerCpu": product.cores, "cpuFrequency": product.ghz, "network": "2x 10Gbps",
                    "storage": product.storage,
                },
            })
        });
        products.collect()
    }

    pub(crate) fn availability(&self, stock: u32) -> Value {
        let products = self.servers().map(|product| {
            let details: Vec<Value> = self
                .locations()
                .map(|location| {
                    json!({
                        "location": location, "minQuantityRequested": 1, "minQuantityAvailable": stock > 0,
                        "availableQuantity": stock.min(10), "solutions": [],
                    })
                })
                .collect();
            json!({"productCode": product.code, "productCategory": "SERVER", "locationAvailabilityDetails": details})
        });
        products.collect()
    }

    pub(crate) fn places(&self) -> Value {
        let category = self.category.unwrap_or("SERVER");
        let known = matches!(category, "SERVER" | "PUBLIC_IP");
        let places = self.locations().filter(|_| known).map(|location| {
            json!({
                "location": location, "locationDescription": format!("Simulated data center {location}"),
                "productCategories": [
                    {"productCategory": "SERVER", "productCategoryDescription": "Server"},
                    {"productCategory": "PUBLIC_IP", "productCategoryDescription": "Public IP"},
                ],
            })
        });
        places.collect()
    }
}

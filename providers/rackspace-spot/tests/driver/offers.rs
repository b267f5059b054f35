//! What can be had, for whoever does not know it by heart.

use rackspace_spot::{Offer, offers};
use secrecy::SecretString;

use crate::harness::world;

async fn offers_are_those_of_the_provider_with_their_prices() {
    let world = world();
    world.sim.set_market("gp.vs1.medium-iad", "0.05");
    let token = SecretString::from(rackspace_spot_sim::ACME_TOKEN);
    let all = offers(&world.settings, &world.call, Some(token)).await.unwrap();
    let find = |class: &str| all.iter().find(|offer| offer.class == class).unwrap();
    let medium = find("gp.vs1.medium-iad");
    assert_eq!(
        (medium.region.as_str(), medium.cpu.as_str(), medium.memory.as_str()),
        ("us-east-iad-1", "2", "3.75GB")
    );
    assert_eq!(
        medium.prices.to_string(),
        "market 0.05, minimum bid 0.01, on demand 0.06"
    );
    assert_eq!((medium.bid().as_str(), medium.available), ("0.06", true));
    assert!(!find("gp.vs1.small-iad").available);
    assert_eq!(find("gpu.vs2.xlargeplusplus-sjc").gpu, "1");
    let key = |offer: &Offer| (offer.region.clone(), offer.class.clone());
    assert!(all.is_sorted_by_key(key) && all.len() > 80);
    assert_eq!(world.writes(), Vec::<String>::new());
    // The location of a class is not the location of its region: these cannot be guessed.
    assert_eq!(find("gp.vs2.medium-dfw2").region, "us-central-dfw-2");
    let error = offers(&world.settings, &world.call, None).await.unwrap_err();
    assert_eq!(error.class(), kit::Class::Invalid);
}

scenarios![offers_are_those_of_the_provider_with_their_prices,];

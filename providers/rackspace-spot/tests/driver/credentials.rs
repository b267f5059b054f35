//! Logging in, and which organization.

use std::time::Duration;

use cloud_sim::Fault;
use kit::Class;
use kontainer_engine::wire::STATE_KEY;
use rackspace_spot_sim::{FREDERICK_TOKEN, OrgNext, REVOKED_TOKEN, RevokedAnswer, Settings};
use secrecy::SecretString;

use crate::harness::{World, acme, world};

fn logins(world: &World) -> usize {
    world
        .outgoing()
        .iter()
        .filter(|request| request.path == "/oauth/token")
        .count()
}

async fn a_refused_token_is_final_and_is_not_repeated() {
    for answer in [RevokedAnswer::AccessDenied, RevokedAnswer::InvalidGrant] {
        let world = World::with(Settings {
            revoked_answer: answer,
            ..Settings::default()
        });
        let error = world
            .create(&acme().text("rackspaceSpotRefreshToken", REVOKED_TOKEN))
            .await
            .unwrap_err();
        assert_eq!(error.class(), Class::Unauthorized);
        assert!(error.text().contains("log in to Rackspace Spot"), "{}", error.text());
        assert_eq!(logins(&world), 1);
    }
}

async fn a_token_refused_on_the_way_is_renewed_once() {
    let world = world();
    world.fault(Fault::status(401).on("POST", "/cloudspaces$"));
    world.create(&acme()).await.unwrap();
    assert_eq!(logins(&world), 2);
    assert_eq!(world.objects("cloudspaces").len(), 1);
    world.fault(Fault::status(401).on("GET", "/cloudspaces/").always());
    let error = world.post_check().await.unwrap_err();
    assert_eq!(error.class(), Class::Unauthorized);
}

async fn a_token_that_lives_a_minute_outlasts_a_long_wait() {
    let world = World::with(Settings {
        id_token_ttl: Duration::from_mins(1),
        cp_delay: Duration::from_mins(10),
        ..Settings::default()
    })
    .ready(&acme())
    .await;
    assert!((10..60).contains(&logins(&world)), "{}", logins(&world));
}

async fn a_rotated_token_is_used_and_kept() {
    let world = World::with(Settings {
        rotate_refresh_tokens: true,
        id_token_ttl: Duration::from_secs(90),
        ..Settings::default()
    });
    world.create(&acme()).await.unwrap();
    let first = world.info.borrow().password.clone();
    crate::harness::plant(&first);
    assert_ne!(first, rackspace_spot_sim::ACME_TOKEN);
    world.post_check().await.unwrap();
    let second = world.info.borrow().password.clone();
    crate::harness::plant(&second);
    assert_ne!(second, first);
    assert!(!world.info.borrow().metadata[STATE_KEY].contains(&second));
    world.remove().await.unwrap();
}

async fn the_organization_is_found_by_any_of_its_names_on_any_page() {
    for name in ["frederick.", "Frederick's", "org_Fred0002", "org-fred0002"] {
        for next in [OrgNext::Token, OrgNext::Url] {
            let world = World::with(Settings {
                org_page_size: 1,
                org_next: next,
                ..Settings::default()
            });
            let options = acme()
                .text("rackspaceSpotRefreshToken", FREDERICK_TOKEN)
                .text("rackspaceSpotOrganization", name);
            world.create(&options).await.unwrap();
            world.post_check().await.unwrap();
            assert_eq!(world.objects("cloudspaces")[0]["metadata"]["namespace"], "org-fred0002");
        }
    }
}

async fn a_wrong_organization_is_told_before_anything_is_done() {
    let world = world();
    let unknown = world
        .create(&acme().text("rackspaceSpotOrganization", "acne"))
        .await
        .unwrap_err()
        .text();
    assert!(unknown.contains("organization \"acne\" was not found"), "{unknown}");
    let other = world
        .create(&acme().text("rackspaceSpotRefreshToken", FREDERICK_TOKEN))
        .await
        .unwrap_err()
        .text();
    assert!(
        other.contains("frederick.") || other.contains("was not found"),
        "{other}"
    );
    assert_eq!(world.writes(), Vec::<String>::new());
}

async fn a_renamed_organization_does_not_make_a_cluster_look_removed() {
    let world = world().ready(&acme()).await;
    let state = world.info.borrow().metadata[STATE_KEY].replace("\"acme\"", "\"renamed\"");
    world.info.borrow_mut().metadata.insert(STATE_KEY.to_owned(), state);
    let error = world.remove().await.unwrap_err().text();
    assert!(error.contains("organization \"renamed\" was not found"), "{error}");
    assert_eq!(world.objects("cloudspaces").len(), 1);
}

async fn a_new_token_is_taken_over_by_an_update() {
    let world = world().ready(&acme()).await;
    REVOKED_TOKEN.clone_into(&mut world.info.borrow_mut().password);
    world.update(&crate::harness::Options::default()).await.unwrap_err();
    world.update(&acme().text("credentialRevision", "2")).await.unwrap();
    assert_eq!(world.info.borrow().password, rackspace_spot_sim::ACME_TOKEN);
    world.post_check().await.unwrap();
}

async fn a_token_from_the_environment_serves_clusters_without_one() {
    let mut world = world();
    world.settings.refresh_token = Some(SecretString::from(rackspace_spot_sim::ACME_TOKEN));
    let world = world.limits(|_| ());
    let world = world.ready(&acme().without("rackspaceSpotRefreshToken")).await;
    assert_eq!(
        world.info.borrow().password,
        "",
        "it is not the cluster's, so it is not stored"
    );
    world.remove().await.unwrap();
}

async fn a_broken_login_service_is_asked_again() {
    let world = world();
    world.fault(Fault::status(503).on("POST", "/oauth/token").times(2));
    world.fault(Fault::status(429).header("retry-after", "2").on("POST", "/oauth/token"));
    world.create(&acme()).await.unwrap();
}

scenarios![
    a_refused_token_is_final_and_is_not_repeated,
    a_token_refused_on_the_way_is_renewed_once,
    a_token_that_lives_a_minute_outlasts_a_long_wait,
    a_rotated_token_is_used_and_kept,
    the_organization_is_found_by_any_of_its_names_on_any_page,
    a_wrong_organization_is_told_before_anything_is_done,
    a_renamed_organization_does_not_make_a_cluster_look_removed,
    a_new_token_is_taken_over_by_an_update,
    a_token_from_the_environment_serves_clusters_without_one,
    a_broken_login_service_is_asked_again,
];

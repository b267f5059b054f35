//! Logging in, and which organization.

use std::time::Duration;

use cloud_sim::{Action, Fault};
use kit::Class;
use kontainer_engine::Driver as _;
use kontainer_engine::wire::STATE_KEY;
use rackspace_spot_sim::{FREDERICK_TOKEN, OrgNext, REVOKED_TOKEN, RevokedAnswer, Settings};
use secrecy::SecretString;
use serde_json::json;

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

async fn a_rotated_token_is_kept_even_when_creating_fails() {
    let rotating = || {
        World::with(Settings {
            rotate_refresh_tokens: true,
            ..Settings::default()
        })
    };
    // It fails at the organization, at an import, and by being cancelled.
    let world = rotating();
    world
        .create(&acme().text("rackspaceSpotOrganization", "acne"))
        .await
        .unwrap_err();
    let kept = world.info.borrow().password.clone();
    crate::harness::plant(&kept);
    assert_ne!(kept, rackspace_spot_sim::ACME_TOKEN);
    world
        .create(&acme().without("rackspaceSpotRefreshToken"))
        .await
        .unwrap();
    crate::harness::plant(&world.info.borrow().password);

    let world = rotating();
    let import = acme()
        .bool("importExistingCluster", true)
        .text("importCloudspaceName", "nowhere");
    world.create(&import).await.unwrap_err();
    let kept = world.info.borrow().password.clone();
    crate::harness::plant(&kept);
    assert_ne!(kept, rackspace_spot_sim::ACME_TOKEN);

    let world = rotating();
    world.fault(Fault::new(Action::Hang).on("POST", "/cloudspaces$").always());
    let cancel = world.call.cancellation().clone();
    let options = acme();
    let (error, ()) = tokio::join!(world.create(&options), async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        cancel.cancel();
    });
    error.unwrap_err();
    let kept = world.info.borrow().password.clone();
    crate::harness::plant(&kept);
    assert_ne!(kept, rackspace_spot_sim::ACME_TOKEN);
}

async fn a_rotated_token_that_is_lost_is_told() {
    const LOST: &str = "no way to hand the new one back";
    let world = world().ready(&acme()).await;
    world.sim.set(|settings| settings.rotate_refresh_tokens = true);
    let (world, messages) = world.listening();
    world.fault(Fault::status(422).on("PATCH", "spotnodepools").always());
    world.update(&acme().int("spotNodeCount", 4)).await.unwrap_err();
    assert!(messages().contains(LOST));
    // The one in the record is over, as the warning says.
    world.post_check().await.unwrap_err();
}

async fn what_an_administrator_laid_down_fills_what_the_options_leave_open() {
    let home = |data: serde_json::Value| {
        let rancher = kube_sim::KubeSim::builder().build();
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cattle-system"}});
        rancher.create(namespace).unwrap();
        if !data.is_null() {
            let secret = json!({"apiVersion": "v1", "kind": "Secret", "stringData": data,
                "metadata": {"name": "rackspace-spot-credentials", "namespace": "cattle-system"}});
            rancher.create(secret).unwrap();
        }
        World::at_home(&rancher)
    };
    let both = json!({"org": "acme", "refreshToken": rackspace_spot_sim::ACME_TOKEN});
    let blank = || {
        acme()
            .without("rackspaceSpotRefreshToken")
            .without("rackspaceSpotOrganization")
    };
    let world = home(both.clone());
    world.create(&blank()).await.unwrap();
    world.post_check().await.unwrap();
    assert_eq!(world.info.borrow().password, rackspace_spot_sim::ACME_TOKEN);
    // The organization is a default that everybody may see; the token never is.
    let flags = world.driver.create_flags(&world.call).await.options;
    assert_eq!(flags["rackspace-spot-organization"].value, "acme");
    let token = &flags["rackspace-spot-refresh-token"];
    assert_eq!((token.value.as_str(), token.default.as_ref()), ("", None));
    // What is given wins.
    let world = home(json!({"org": "nobody", "refreshToken": "wrong"}));
    world.create(&acme()).await.unwrap();
    // One half, or nothing at all.
    let world = home(json!({"refreshToken": rackspace_spot_sim::ACME_TOKEN}));
    let error = world.create(&blank()).await.unwrap_err().text();
    assert!(error.contains("rackspace-spot-organization is required"), "{error}");
    world
        .create(&blank().text("rackspaceSpotOrganization", "acme"))
        .await
        .unwrap();
    let world = home(serde_json::Value::Null);
    let error = world.create(&blank()).await.unwrap_err().text();
    assert!(error.contains("rackspace-spot-refresh-token is required"), "{error}");
    assert_eq!(
        world.driver.create_flags(&world.call).await,
        *world.driver.options().create_flags()
    );
    // An import is filled in too, and changes nothing.
    let world = home(both);
    crate::create::foreign(&world, "theirs").await;
    let writes = world.writes();
    let import = blank()
        .bool("importExistingCluster", true)
        .text("importCloudspaceName", "theirs");
    world.create(&import).await.unwrap();
    assert_eq!(world.writes(), writes);
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
    a_rotated_token_is_kept_even_when_creating_fails,
    a_rotated_token_that_is_lost_is_told,
    what_an_administrator_laid_down_fills_what_the_options_leave_open,
    the_organization_is_found_by_any_of_its_names_on_any_page,
    a_wrong_organization_is_told_before_anything_is_done,
    a_renamed_organization_does_not_make_a_cluster_look_removed,
    a_new_token_is_taken_over_by_an_update,
    a_token_from_the_environment_serves_clusters_without_one,
    a_broken_login_service_is_asked_again,
];

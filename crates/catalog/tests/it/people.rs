//! Teams that two people write at once, rights as one statement gives them, keys that run out.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::Catalog;
use futures::executor::block_on;
use headwater_auth::{Over, Powers, Role};
use headwater_catalog::assets::{self, AssetWrite};
use headwater_catalog::projects::{self, Asked, Brought, DEFAULT, Named};
use headwater_catalog::rights::{self, ORGANIZATION, TokenId};
use headwater_catalog::teams::{self, Team, TeamSpec};
use headwater_catalog::{CatalogError, keys};

const TOKEN: TokenId<'_> = TokenId { jti: "t", kid: "k" };

fn spec(members: &[&str], scope: &str, roles: &[&str]) -> TeamSpec {
    let roles: BTreeSet<_> = roles.iter().map(|role| (*role).to_owned()).collect();
    TeamSpec {
        description: None,
        members: members
            .iter()
            .map(|user| ((*user).to_owned(), false))
            .collect(),
        scopes: BTreeMap::from([(scope.to_owned(), roles)]),
    }
}

fn write(
    catalog: &Catalog,
    name: &str,
    before: Option<&Team>,
    spec: &TeamSpec,
) -> Result<Option<Team>, CatalogError> {
    block_on(teams::write(
        &catalog.sql,
        name,
        before,
        spec,
        catalog.now(),
    ))
}

#[test]
fn a_team_that_was_changed_meanwhile_is_not_overwritten() {
    let catalog = Catalog::new();
    let owner = block_on(teams::first_owner(&catalog.sql)).unwrap().unwrap();
    let first = write(&catalog, "t", None, &spec(&[], ORGANIZATION, &["viewer"])).unwrap();
    assert_eq!(
        write(&catalog, "t", None, &spec(&[], ORGANIZATION, &["owner"])).unwrap(),
        None
    );
    let second = spec(&[&owner], ORGANIZATION, &["viewer"]);
    let second = write(&catalog, "t", first.as_ref(), &second).unwrap();
    assert!(second.is_some());
    assert_eq!(
        write(&catalog, "t", first.as_ref(), &TeamSpec::default()).unwrap(),
        None
    );
    assert_eq!(block_on(teams::find(&catalog.sql, "t")).unwrap(), second);
}

#[test]
fn rights_are_the_union_over_the_teams() {
    let catalog = Catalog::new();
    let owner = block_on(teams::first_owner(&catalog.sql)).unwrap().unwrap();
    let project = catalog.project.as_str().to_owned();
    write(
        &catalog,
        "t",
        None,
        &spec(&[&owner], &project, &["viewer", "operator"]),
    )
    .unwrap();
    let standing = block_on(rights::of_user(&catalog.sql, &owner, TOKEN, None))
        .unwrap()
        .unwrap();
    assert!(!standing.revoked);
    let has = |over: &Over, role: Role| {
        let powers = Powers::Role(role);
        standing
            .grants
            .iter()
            .any(|grant| grant.over == *over && grant.powers == powers)
    };
    assert!(has(&Over::Organization, Role::Owner));
    let here = Over::Project(project);
    assert!(has(&here, Role::Viewer) && has(&here, Role::Operator));
    assert_eq!(standing.grants.len(), 3);
    assert_eq!(
        block_on(rights::of_user(&catalog.sql, "nobody", TOKEN, None)).unwrap(),
        None
    );
    assert_eq!(
        block_on(rights::of_client(&catalog.sql, "nobody", TOKEN, None)).unwrap(),
        None
    );

    let later = catalog.now() + jiff::SignedDuration::from_hours(1);
    block_on(keys::revoke(&catalog.sql, "t", later, catalog.now())).unwrap();
    let standing = block_on(rights::of_user(&catalog.sql, &owner, TOKEN, None)).unwrap();
    assert!(standing.unwrap().revoked);
}

#[test]
fn what_is_wrong_leaves_the_team_as_it_was() {
    let catalog = Catalog::new();
    let before = write(&catalog, "t", None, &spec(&[], ORGANIZATION, &["viewer"])).unwrap();
    for (wrong, field) in [
        (
            spec(&["nobody"], ORGANIZATION, &["viewer"]),
            "spec.members.nobody",
        ),
        (spec(&[], "nowhere", &["viewer"]), "spec.scopes.nowhere"),
        (
            spec(&[], ORGANIZATION, &["viewer", "worker"]),
            "spec.scopes.*.roles",
        ),
    ] {
        match write(&catalog, "t", before.as_ref(), &wrong) {
            Err(CatalogError::Invalid { field: named, .. }) => assert_eq!(named, field),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(block_on(teams::find(&catalog.sql, "t")).unwrap(), before);
}

#[test]
fn keys_whose_tokens_have_all_run_out_are_forgotten() {
    let catalog = Catalog::new();
    let rotate = |after_hours: i64| {
        let at = catalog.now() + jiff::SignedDuration::from_hours(after_hours);
        block_on(keys::rotate(&catalog.sql, &catalog.seal, at)).unwrap();
        let good = block_on(keys::public_keys(&catalog.sql, at)).unwrap().len();
        (block_on(keys::list(&catalog.sql)).unwrap().len(), good)
    };
    assert_eq!(rotate(0), (1, 1), "just made");
    assert_eq!(rotate(1), (2, 2));
    assert_eq!(rotate(2), (3, 3));
    assert_eq!(
        rotate(2 + 366 * 24),
        (3, 2),
        "the first has run out, the second does so now"
    );
    assert_eq!(rotate(4 + 366 * 24), (3, 3));
}

#[test]
fn the_project_that_is_asked_about_comes_along_with_the_rights() {
    let catalog = Catalog::new();
    let project = block_on(projects::by_name(&catalog.sql, DEFAULT)).unwrap();
    let project = project.unwrap();
    let owner = block_on(teams::first_owner(&catalog.sql)).unwrap().unwrap();
    let upper = project.account_name.to_uppercase();
    let account = Named::Account {
        subscription_id: &project.subscription_id,
        resource_group: &project.resource_group,
        account: &upper,
    };
    let known = [
        Named::Name(DEFAULT),
        Named::Id(project.id.as_str()),
        account,
    ];
    let sql = &catalog.sql;
    for asked in known {
        let standing = block_on(rights::of_user(sql, &owner, TOKEN, Some(asked.into())))
            .unwrap()
            .unwrap();
        let brought = Brought {
            project: Some(project.clone()),
            asset: None,
        };
        assert_eq!(standing.brought, brought, "{asked:?}");
        assert!(!standing.grants.is_empty());
        let nobody = block_on(rights::of_nobody(sql, TOKEN, Some(asked.into()))).unwrap();
        assert_eq!(nobody.brought, brought, "{asked:?}");
        assert_eq!(
            block_on(projects::find(sql, asked)).unwrap(),
            Some(project.clone())
        );
    }
    for asked in [Some(Named::Name("none of ours").into()), None] {
        let standing = block_on(rights::of_user(sql, &owner, TOKEN, asked)).unwrap();
        assert_eq!(standing.unwrap().brought, Brought::default());
    }
}

#[test]
fn an_asset_comes_along_with_the_project_that_it_is_in() {
    let catalog = Catalog::new();
    let sql = &catalog.sql;
    let project = block_on(projects::by_name(sql, DEFAULT)).unwrap().unwrap();
    let owner = block_on(teams::first_owner(sql)).unwrap().unwrap();
    catalog.asset("film");
    let write = AssetWrite {
        description: Some("of a river".into()),
        ..AssetWrite::default()
    };
    let now = catalog.now();
    let film = block_on(assets::update(sql, &project.id, "film", &write, now)).unwrap();
    let account = Named::Account {
        subscription_id: &project.subscription_id,
        resource_group: &project.resource_group,
        account: &project.account_name,
    };
    for (named, name, there) in [
        (Named::Name(DEFAULT), "film", true),
        (Named::Id(project.id.as_str()), "film", true),
        (account, "film", true),
        (account, "Film", false),
        (Named::Name("none of ours"), "film", false),
    ] {
        let asked = Some(Asked {
            project: named,
            asset: Some(name),
        });
        let expected = there.then(|| film.clone());
        let standing = block_on(rights::of_user(sql, &owner, TOKEN, asked)).unwrap();
        assert_eq!(standing.unwrap().brought.asset, expected, "{asked:?}");
        let nobody = block_on(rights::of_nobody(sql, TOKEN, asked)).unwrap();
        assert_eq!(nobody.brought.asset, expected, "{asked:?}");
    }
}

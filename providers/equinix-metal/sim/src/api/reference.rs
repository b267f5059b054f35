//! What there is to choose from, and who one is.

use serde_json::{Value, json};

use super::answer::Answer;
use super::ask::Ask;
use super::includes::Includes;
use super::page::Page;
use super::{BASE, USER_ID, show};

pub(crate) async fn metros(ask: Ask) -> Answer {
    ask.read(|world, _| {
        let all: Vec<Value> = world.metros.iter().map(|it| show::metro(world, &it.code)).collect();
        Ok(json!({ "metros": all }))
    })
}

pub(crate) async fn facilities(ask: Ask) -> Answer {
    ask.read(|world, _| {
        let with_metro = Includes::of(&ask).wants("metro");
        let all = world.facilities.iter();
        let all: Vec<Value> = all.map(|it| show::facility(world, &it.code, with_metro)).collect();
        Ok(json!({ "facilities": all }))
    })
}

pub(crate) async fn plans(ask: Ask) -> Answer {
    ask.read(|world, _| {
        let slug = ask.param("slug");
        let all = world.plans.iter().filter(|it| slug.is_none_or(|slug| it.slug == slug));
        let all: Vec<Value> = all.map(|it| show::plan(world, &it.slug)).collect();
        Ok(json!({ "plans": all }))
    })
}

pub(crate) async fn project(ask: Ask) -> Answer {
    ask.read(|world, caller| Ok(show::project(caller.project(world, ask.id("project"))?)))
}

pub(crate) async fn projects(ask: Ask) -> Answer {
    ask.list(|world, caller| {
        let page = Page::of(&ask, 10, world.settings.page_limit)?;
        let own = world.projects.iter().filter(|it| caller.project(world, &it.id).is_ok());
        Ok(page.of_list(&ask, "projects", own.collect(), show::project))
    })
}

pub(crate) async fn user(ask: Ask) -> Answer {
    ask.read(|_, _| {
        Ok(json!({
            "id": USER_ID, "first_name": "Ada", "last_name": "Operator", "full_name": "Ada Operator",
            "email": "ada@example.com", "href": format!("{BASE}/users/{USER_ID}"),
        }))
    })
}

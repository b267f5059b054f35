//! A simulated cloud's state as JSON that people can write: whole, or only what is to be different.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::front::BadState;

/// A world as JSON. Worlds are plain data with text keys, which always have a JSON form.
pub fn to_json(world: &impl Serialize) -> Value {
    serde_json::to_value(world).unwrap_or_default()
}

/// The world that `state` tells; what it leaves out is as in `first`.
///
/// # Errors
/// The state is no object, or has a field that the world has not or of another type.
pub fn over<W: Serialize + DeserializeOwned>(first: &W, state: Value) -> Result<W, BadState> {
    let Value::Object(given) = state else {
        return Err(BadState::new("the state must be an object"));
    };
    let mut whole = to_json(first);
    if let Value::Object(fields) = &mut whole {
        for (key, value) in given {
            if !fields.contains_key(&key) {
                let known: Vec<&str> = fields.keys().map(String::as_str).collect();
                let known = known.join(", ");
                return Err(BadState::new(format!("unknown field {key:?}, known are {known}")));
            }
            fields.insert(key, value);
        }
    }
    Ok(serde_json::from_value(whole)?)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct World {
        servers: u32,
        names: Vec<String>,
    }

    #[test]
    fn what_is_left_out_is_as_on_the_first_day_and_what_is_not_known_is_refused() {
        let first = World {
            servers: 1,
            names: vec!["a".to_owned()],
        };
        let world = over(&first, json!({"servers": 7})).unwrap();
        assert_eq!((world.servers, &world.names), (7, &first.names));
        for (state, why) in [
            (json!([]), "the state must be an object"),
            (json!({"server": 7}), "unknown field \"server\", known are "),
            (json!({"servers": "x"}), "invalid type"),
        ] {
            let error = over(&first, state).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}

//! Trying again: after conflicts, and by the class of an error.

use std::future::Future;
use std::time::Duration;

use kit::Class;

/// The class of an error of a Kubernetes client.
pub fn class(error: &kube::Error) -> Class {
    let kube::Error::Api(status) = error else {
        return match error {
            kube::Error::Service(cause) if cause.is::<crate::fence::Fenced>() => Class::Permanent,
            kube::Error::BuildRequest(_) | kube::Error::SerdeError(_) => Class::Invalid,
            _ => Class::Transient,
        };
    };
    match status.code {
        404 => Class::NotFound,
        409 | 412 => Class::Conflict,
        401 | 403 => Class::Unauthorized,
        429 => {
            let seconds = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
            Class::Throttled {
                after: (seconds > 0).then(|| Duration::from_secs(u64::from(seconds))),
            }
        }
        400 | 405 | 406 | 413 | 415 | 422 => Class::Invalid,
        408 | 410 | 500..=599 => Class::Transient,
        _ => Class::Permanent,
    }
}

/// Whether the API server answered that there is no such object.
pub fn is_not_found(error: &kube::Error) -> bool {
    class(error) == Class::NotFound
}

/// Runs `change` again while it ends in a conflict, at most `tries` times, `pause` to twice that apart. `change` gets
/// the number of the try, from 0: all but the first must read anew what they are going to change.
pub async fn on_conflict<T, F>(tries: u32, pause: Duration, mut change: impl FnMut(u32) -> F) -> Result<T, kube::Error>
where
    F: Future<Output = Result<T, kube::Error>>,
{
    let mut attempt = 0;
    loop {
        match change(attempt).await {
            Err(error) if class(&error) == Class::Conflict && attempt + 1 < tries => {
                attempt += 1;
                tokio::time::sleep(pause + pause.mul_f64(fastrand::f64())).await;
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::Status;

    fn api(code: u16) -> kube::Error {
        kube::Error::Api(
            Status {
                code,
                ..Status::default()
            }
            .boxed(),
        )
    }

    #[test]
    fn statuses_have_classes() {
        for (code, expected) in [
            (404, Class::NotFound),
            (409, Class::Conflict),
            (401, Class::Unauthorized),
            (403, Class::Unauthorized),
            (422, Class::Invalid),
            (429, Class::Throttled { after: None }),
            (500, Class::Transient),
            (503, Class::Transient),
            (418, Class::Permanent),
        ] {
            assert_eq!(class(&api(code)), expected, "{code}");
        }
        assert_eq!(
            class(&kube::Error::Service(Box::new(crate::fence::Fenced))),
            Class::Permanent
        );
    }

    #[tokio::test(start_paused = true)]
    async fn conflicts_are_tried_again_and_nothing_else_is() {
        for (code, tries) in [(409, 5), (500, 1)] {
            let mut made = 0;
            let result: Result<(), _> = on_conflict(5, Duration::from_millis(100), |attempt| {
                assert_eq!(attempt, made);
                made += 1;
                async move { Err(api(code)) }
            })
            .await;
            assert!(result.is_err());
            assert_eq!(made, tries, "{code}");
        }
    }
}

use std::time::SystemTime;

use tokio::time::Instant;

use super::*;
use crate::error::Kind;

const GIVEN: &str = "apiVersion: v1\nkind: Config\nclusters: [{name: a, cluster: {server: 'https://127.0.0.1:1'}}]\nusers: [{name: a, user: {token: t}}]\ncontexts: [{name: a, context: {cluster: a, user: a}}]\n";
const THEIRS: &str = "apiVersion: v1\nkind: Config\n# mine\n";

fn world() -> (tempfile::TempDir, Host, PathBuf, Entry) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(".kube/config");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, THEIRS).unwrap();
    let env = [("HOME".into(), dir.path().into())].into();
    let host = Host::new(env, crate::Os::Linux);
    let entry = Entry::read(GIVEN, EntryNames::all("kind-dev")).unwrap();
    (dir, host, file, entry)
}

#[tokio::test(start_paused = true)]
async fn a_lock_that_is_never_released_is_told_after_ten_seconds_and_left() {
    let (_dir, host, file, entry) = world();
    let lock = file.with_extension("lock");
    std::fs::write(&lock, "").unwrap();
    for (age, told) in [(0, false), (90, true)] {
        let made = SystemTime::now() - Duration::from_secs(age);
        std::fs::File::options()
            .write(true)
            .open(&lock)
            .unwrap()
            .set_modified(made)
            .unwrap();
        let begun = Instant::now();
        let error = entry.merge(&host).await.unwrap_err();
        let waited = begun.elapsed();
        assert!(
            waited >= Duration::from_secs(10) && waited < Duration::from_secs(11),
            "{waited:?}"
        );
        assert_eq!(
            (error.kind(), error.class()),
            (Kind::KubeconfigLocked, Class::Transient)
        );
        let text = error.to_string();
        assert!(text.contains("config.lock") && text.contains("within 10s"), "{text}");
        assert_eq!(text.contains("for 1m30s"), told, "{text}");
        assert!(error.advice().unwrap().contains(&format!("rm {}", lock.display())));
        assert_eq!(std::fs::read_to_string(&file).unwrap(), THEIRS);
        assert!(lock.exists(), "it is somebody else's");
    }
    std::fs::remove_file(&lock).unwrap();
    entry.merge(&host).await.unwrap();
    std::fs::write(&lock, "").unwrap();
    let merged = std::fs::read_to_string(&file).unwrap();
    let error = remove(&host, &EntryNames::all("kind-dev"), &["https://127.0.0.1:1".to_owned()])
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::KubeconfigLocked);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), merged);
}

//! Panics as values: caught, with what they said and where, and without a word on the standard error.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// How many calls of [`catch`] are under way on this thread: within them panics are not printed.
    static QUIET: Cell<u32> = const { Cell::new(0) };
    /// Where the last one was.
    static PLACE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Calls `call`. If it panics, that is the error: what was said, and where in the code.
///
/// The process's panic hook is replaced once, by a hook that is silent in here and otherwise calls the previous one.
pub(crate) fn catch<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = take_hook();
        set_hook(Box::new(move |info| {
            if QUIET.get() == 0 {
                return before(info);
            }
            let place = info.location().map(|at| format!("{}:{}", short(at.file()), at.line()));
            PLACE.with_borrow_mut(|last| *last = place.unwrap_or_default());
        }));
    });
    QUIET.set(QUIET.get() + 1);
    let result = catch_unwind(AssertUnwindSafe(call));
    QUIET.set(QUIET.get() - 1);
    result.map_err(|panic| {
        let place = PLACE.with_borrow(String::clone);
        format!("{} ({place})", said(panic.as_ref()))
    })
}

/// What a panic has said.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}

/// The end of a path, from `src` on: the folder of a crate says nothing about a panic.
fn short(path: &str) -> &str {
    path.rfind("src/").map_or(path, |at| &path[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_that_says_where() {
        assert_eq!(catch(|| 7), Ok(7));
        let error = catch(|| panic!("a {} of it", "word")).unwrap_err();
        assert!(error.starts_with("a word of it (src/sim/quiet.rs:"), "{error}");
        let nested = catch(|| catch(|| panic!("inner")).is_err()).unwrap();
        assert!(nested && QUIET.get() == 0);
    }
}

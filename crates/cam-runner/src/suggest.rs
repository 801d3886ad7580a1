//! Messages about unknown words.

/// `; did you mean `x`?`, or the whole list where nothing is near.
pub(crate) fn hint(word: &str, known: &[&str]) -> String {
    // Grad-CAM++ is called so in papers.
    let plain = word.replace("++", "_pp");
    let nearest = cam_core::nearest(&plain, known.iter().copied());
    if nearest.is_some() {
        return cam_core::did_you_mean(nearest);
    }
    let known: Vec<_> = known.iter().map(|word| format!("`{word}`")).collect();
    format!("; known are {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_may_be_asked_for_as_papers_write_it() {
        let known = ["grad_cam", "grad_cam_pp", "smooth_grad_cam_pp"];
        assert_eq!(hint("grad_cam++", &known), "; did you mean `grad_cam_pp`?");
        assert_eq!(hint("Smooth-Grad-CAM++", &known), "; did you mean `smooth_grad_cam_pp`?");
    }
}

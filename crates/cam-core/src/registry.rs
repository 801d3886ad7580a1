//! Closed lists of methods and metrics.

/// An enum over all implementations of a trait: the list, the names, the configuration and the dispatch at once.
///
/// A variant holds the implementation's own struct, whose fields are its options and whose `Default` is the
/// definition that cambench stands for. Serializing an entry gives its options with every default filled in.
///
/// ```text
/// registry! {
///     /// Every explanation method.
///     pub enum AnyMethod: Method {
///         "cam" => Cam(cam::Cam),
///     }
/// }
/// ```
#[macro_export]
macro_rules! registry {
    (
        $(#[$doc:meta])*
        pub enum $any:ident: $trait:ident {
            $($name:literal => $variant:ident($type:ty),)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub enum $any {
            $(#[doc = concat!("`", $name, "`")] $variant($type),)+
        }

        impl $any {
            /// Every name, in the order of the list.
            pub const NAMES: &[&str] = &[$($name,)+];

            /// Every entry with its defaults, in the order of the list.
            pub fn all() -> Vec<Self> {
                vec![$(Self::$variant(<$type>::default()),)+]
            }

            /// An entry with its defaults.
            pub fn by_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant(<$type>::default())),)+
                    _ => None,
                }
            }

            /// An entry with the options of `options`, a map that may be empty; `None` for an unknown name.
            pub fn configure<'de, D: $crate::__private::serde::Deserializer<'de>>(
                name: &str,
                options: D,
            ) -> Option<Result<Self, D::Error>> {
                match name {
                    $($name => Some(<$type as $crate::__private::serde::Deserialize>::deserialize(options).map(Self::$variant)),)+
                    _ => None,
                }
            }

            /// Its name in sweeps, tables and files.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)+
                }
            }
        }

        impl std::ops::Deref for $any {
            type Target = dyn $trait;

            fn deref(&self) -> &Self::Target {
                match self {
                    $(Self::$variant(entry) => entry,)+
                }
            }
        }

        impl $crate::__private::serde::Serialize for $any {
            /// The options alone, defaults included.
            fn serialize<S: $crate::__private::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Self::$variant(entry) => entry.serialize(serializer),)+
                }
            }
        }
    };
}
